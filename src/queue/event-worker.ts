import { setTimeout as delay } from "node:timers/promises";
import type { HintJob, OpenWorker, OpenWorkerOptions } from "./bullmq.ts";
import type { Partitions } from "./partitions.ts";
import { readPartitions } from "./partitions.ts";
import { openPostgresWorker } from "./postgres-backend.ts";
import type { QueueConnection } from "./queue-connection.ts";
import { createErrorReporter, type QueueLog } from "./queue-log.ts";
import { openRedisWorker } from "./redis-backend.ts";

export interface EventJob {
  readonly eventIds: readonly string[];
  readonly partitions: Partitions;
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

/** What a backend gets, once the last job is done, to be told so and to part. */
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
  options: {
    readonly concurrency: number;
    readonly log: QueueLog;
    readonly lockDurationMs?: number;
    readonly stalledIntervalMs?: number;
  },
): EventWorker {
  const reportFailure = createErrorReporter(options.log, "job failed");
  const reportError = createErrorReporter(
    options.log,
    "connection of the worker failed",
  );
  const active = new Set<Promise<void>>();

  async function runJob(job: HintJob): Promise<void> {
    try {
      await work({
        eventIds: job.data.eventIds,
        partitions: readPartitions(
          job.data.partitions,
          job.data.eventIds.length,
        ),
        oneByOne:
          job.data.oneByOne === true ||
          job.attemptsStarted > 1 ||
          job.stalledCounter > 0,
      });
    } catch (error) {
      reportFailure(error);
      // Not the error itself: BullMQ writes its message to the event stream, and
      // gives some names and messages a meaning of their own.
      throw new Error("work failed");
    }
  }

  const worker = openWorker(
    connection,
    (job) => {
      const running = runJob(job);
      active.add(running);
      const settled = () => active.delete(running);
      running.then(settled, settled);
      return running;
    },
    {
      concurrency: options.concurrency,
      lockDuration: options.lockDurationMs ?? 10_000,
      stalledInterval: options.stalledIntervalMs ?? 5_000,
      onError: reportError,
    },
  );

  return {
    pause: () => {
      worker.pause().catch(reportError);
    },
    resume: () => {
      worker.resume().catch(reportError);
    },
    close: async () => {
      const closed = worker.close().catch(reportError);
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

function openWorker(
  connection: QueueConnection,
  run: (job: HintJob) => Promise<void>,
  options: OpenWorkerOptions,
): OpenWorker {
  switch (connection.kind) {
    case "redis":
      return openRedisWorker(connection, run, options);
    case "postgres":
      return openPostgresWorker(connection, run, options);
  }
}
