import type { HintData, OpenQueue } from "./bullmq.ts";
import { JOB_OPTIONS } from "./bullmq.ts";
import { writePartitions } from "./partitions.ts";
import { openPostgresQueue } from "./postgres-backend.ts";
import type { QueueConnection } from "./queue-connection.ts";
import { createErrorReporter, type QueueLog } from "./queue-log.ts";
import { openRedisQueue } from "./redis-backend.ts";
import { within } from "./within.ts";

export interface HintedEvent {
  readonly eventId: string;
  /** What it is about: a worker may spread the events of a job, and keeps those of one card together. */
  readonly cardId?: string | undefined;
}

export interface EventHint {
  readonly events: readonly HintedEvent[];
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
  enqueue(hint: EventHint): Promise<void>;
  /**
   * Since when the next waiting job waits (for a delayed hint: since its delay
   * ended); undefined when none does. Active and delayed jobs do not count.
   * Settles within the time-out; rejects when the backend cannot be reached.
   */
  oldestWaitingAt(): Promise<Date | undefined>;
  /** Rejects when the backend cannot be reached; settles within a second. */
  ping(): Promise<void>;
  /** Gives hints that are under way the time-out to arrive, drops the rest. Does not reject. */
  close(): Promise<void>;
}

/**
 * A call can outlive its time-out for as long as the backend is away (a frozen
 * Redis, for instance), and hints come by the thousand: this bounds the memory.
 */
const MAX_UNSETTLED_CALLS = 64;

const PING_TIMEOUT_MS = 1_000;

/** Connects in the background; works as soon as the backend does. */
export function createEventQueue(
  connection: QueueConnection,
  options: { readonly log: QueueLog; readonly timeoutMs?: number },
): EventQueue {
  const timeoutMs = options.timeoutMs ?? 2_000;
  const onError = createErrorReporter(
    options.log,
    "connection of the queue failed",
  );
  const onEviction = (policy: string) => {
    options.log.warn(
      { policy, advice: "set maxmemory-policy to noeviction" },
      "Redis may forget hints when its memory is full, and their events then wait for the sweep",
    );
  };
  const queue = openQueue(connection, timeoutMs, onError, onEviction);
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
    enqueue: async ({ events, name, oneByOne, delayMs }) => {
      await bounded("enqueue", timeoutMs, () =>
        queue.add(
          name,
          dataOf(events, oneByOne),
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

function dataOf(
  events: readonly HintedEvent[],
  oneByOne: boolean | undefined,
): HintData {
  const eventIds = events.map(({ eventId }) => eventId);
  if (oneByOne === true) return { eventIds, oneByOne };
  if (events.every(({ cardId }) => cardId === undefined)) return { eventIds };
  const partitions = writePartitions(events.map(({ cardId = "" }) => cardId));
  return { eventIds, partitions };
}

function openQueue(
  connection: QueueConnection,
  timeoutMs: number,
  onError: (error: unknown) => void,
  onEviction: (policy: string) => void,
): OpenQueue {
  switch (connection.kind) {
    case "redis":
      return openRedisQueue(connection, onError, onEviction);
    case "postgres":
      return openPostgresQueue(connection, timeoutMs, onError);
  }
}
