import { setTimeout as delay } from "node:timers/promises";
import type { HintJob } from "./bullmq.ts";
import { openPostgresWorker } from "./postgres-backend.ts";
import type { QueueConnection } from "./queue-connection.ts";
import { openRedisWorker } from "./redis-backend.ts";

export interface EventJob {
  readonly eventIds: readonly string[];
  /** An earlier run of this job died, or the hint asked for it: work one event at a time. */
  readonly oneByOne: boolean;
}

export interface EventWorker {
  /** Takes no new jobs, and leaves them to other workers. Those that are active go on. */
  pause(): void;
  resume(): void;
  /** Takes no new jobs and waits for the active ones, however long they take. Does not reject. */
  close(): Promise<void>;
}

export interface EventWorkerOptions {
  readonly concurrency: number;
  /** Told why a job failed. */
  readonly onJobFailed: (error: unknown) => void;
  /** Told of lost connections and failed calls. */
  readonly onError: (error: unknown) => void;
  readonly lockDurationMs?: number;
  readonly stalledIntervalMs?: number;
}

/** How long closing waits for the backend once the last job is done. */
const FAREWELL_MS = 2_000;

/**
 * Starts to work at once, or as soon as the backend can be reached. A job is
 * gone after its run however that ended: what became of the events is on
 * their rows. The job of a worker that died comes back after `lockDurationMs`
 * plus `stalledIntervalMs` at most.
 */
export function createEventWorker(
  connection: QueueConnection,
  work: (job: EventJob) => Promise<void>,
  options: EventWorkerOptions,
): EventWorker {
  const { onJobFailed, onError } = options;
  const active = new Set<Promise<void>>();

  async function runJob(job: HintJob): Promise<void> {
    try {
      await work({
        eventIds: job.data.eventIds,
        oneByOne:
          job.data.oneByOne === true ||
          job.attemptsStarted > 1 ||
          job.stalledCounter > 0,
      });
    } catch (error) {
      onJobFailed(error);
      // Not the error itself: BullMQ writes its message to the event stream, and
      // gives some names and messages a meaning of their own.
      throw new Error("work failed");
    }
  }

  const run = (job: HintJob) => {
    const running = runJob(job);
    active.add(running);
    const settled = () => active.delete(running);
    running.then(settled, settled);
    return running;
  };
  const backendOptions = {
    concurrency: options.concurrency,
    lockDuration: options.lockDurationMs ?? 10_000,
    stalledInterval: options.stalledIntervalMs ?? 5_000,
    onError,
  };
  const worker =
    connection.kind === "redis"
      ? openRedisWorker(connection, run, backendOptions)
      : openPostgresWorker(connection, run, backendOptions);

  return {
    pause: () => {
      worker.pause().catch(onError);
    },
    resume: () => {
      worker.resume().catch(onError);
    },
    close: async () => {
      const closed = worker.close().catch(onError);
      const farewell = new AbortController();
      const overdue = async () => {
        while (active.size > 0) await Promise.allSettled(active);
        await delay(FAREWELL_MS, undefined, { signal: farewell.signal });
        worker.abandon();
      };
      await Promise.race([closed, overdue()]);
      farewell.abort();
    },
  };
}
