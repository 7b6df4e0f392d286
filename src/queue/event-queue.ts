import { within } from "../process/within.ts";
import type { OpenQueue } from "./bullmq.ts";
import { JOB_OPTIONS } from "./bullmq.ts";
import { openPostgresQueue } from "./postgres-backend.ts";
import type { QueueConnection } from "./queue-connection.ts";
import { openRedisQueue } from "./redis-backend.ts";

export interface EventHint {
  readonly eventIds: readonly string[];
  /** For the operator's eye only. */
  readonly name: string;
  /** The worker takes the events one at a time instead of all together. */
  readonly oneByOne?: boolean;
  readonly delayMs?: number;
}

export interface EventQueue {
  /**
   * Adds one job. Settles within the time-out (default 2 s) whatever the
   * backend does. After a rejection for lateness the job may still arrive.
   */
  readonly enqueue: (hint: EventHint) => Promise<void>;
  /**
   * Since when the next waiting job waits (for a delayed hint: since its delay
   * ended); undefined when none does. Active and delayed jobs do not count.
   * Settles within the time-out; rejects when the backend cannot be reached.
   */
  readonly oldestWaitingAt: () => Promise<Date | undefined>;
  /** Rejects when the backend cannot be reached; settles within a second. */
  readonly ping: () => Promise<void>;
  /** Gives hints that are under way the time-out to arrive, drops the rest. Does not reject. */
  readonly close: () => Promise<void>;
}

/**
 * A call can outlive its time-out for as long as the backend is away (a frozen
 * Redis, for instance), and hints come by the thousand: this bounds the memory.
 */
const MAX_UNSETTLED_CALLS = 64;

const PING_TIMEOUT_MS = 1_000;

export interface EventQueueOptions {
  /** Told of lost connections and failed calls. */
  readonly onError: (error: unknown) => void;
  /** Told of a Redis policy under which hints may be forgotten, once for each. */
  readonly onEviction: (policy: string) => void;
  readonly timeoutMs?: number;
}

/** Connects in the background; works as soon as the backend does. */
export function createEventQueue(
  connection: QueueConnection,
  { onError, onEviction, timeoutMs = 2_000 }: EventQueueOptions,
): EventQueue {
  const queue: OpenQueue =
    connection.kind === "redis"
      ? openRedisQueue(connection, onError, onEviction)
      : openPostgresQueue(connection, timeoutMs, onError);
  const unsettled = new Set<Promise<unknown>>();

  async function bounded<T>(
    what: string,
    limitMs: number,
    call: () => Promise<T>,
  ): Promise<T> {
    if (unsettled.size >= MAX_UNSETTLED_CALLS) {
      throw new Error(`${what}: too many calls have not been answered yet`);
    }
    const answer = call();
    unsettled.add(answer);
    const settled = () => unsettled.delete(answer);
    answer.then(settled, settled);
    return within(answer, limitMs, what);
  }

  return {
    enqueue: async ({ eventIds, name, oneByOne, delayMs }) => {
      await bounded("enqueue", timeoutMs, () =>
        queue.add(
          name,
          oneByOne === true ? { eventIds, oneByOne } : { eventIds },
          delayMs === undefined
            ? JOB_OPTIONS
            : { ...JOB_OPTIONS, delay: delayMs },
        ),
      );
    },
    oldestWaitingAt: async () => {
      const job = await bounded("oldest waiting", timeoutMs, () =>
        queue.oldestWaiting(),
      );
      return job && new Date(job.addedAtMs + job.delayMs);
    },
    ping: async () => {
      await bounded("ping", Math.min(timeoutMs, PING_TIMEOUT_MS), () =>
        queue.ping(),
      );
    },
    close: async () => {
      await within(Promise.allSettled(unsettled), timeoutMs, "close").catch(
        onError,
      );
      await within(queue.close(), timeoutMs, "close").catch(onError);
    },
  };
}
