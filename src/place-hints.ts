import { setTimeout as sleep } from "node:timers/promises";
import { createBatcher } from "./batcher.ts";
import type { NewEvent } from "./receive-webhook.ts";

export interface HintOptions {
  /** Adds one job; settles in bounded time. */
  readonly enqueue: (hint: {
    readonly eventIds: readonly string[];
    readonly name: string;
  }) => Promise<void>;
  /** Told of events that the queue was not told of: the sweep finds them. */
  readonly onLost: () => void;
}

export interface Hints {
  /** Returns at once: nobody waits for the queue. */
  readonly place: (events: readonly NewEvent[]) => void;
  /** Resolves when every hint has arrived or is lost. */
  readonly drain: () => Promise<void>;
}

/**
 * Between two calls. A call costs Node.js and the queue as much as recording ten events; a hundred of them a second are
 * hardly seen, and an event is not seen to wait.
 */
const PAUSE_MS = 10;
/** More than are recorded in a pause. A worker takes a long job in several transactions. */
const MAX_FLUSHES_IN_JOB = 16;
/** Seconds of traffic. While the queue is away this is all that is kept in memory of it. */
const MAX_FLUSHES_WAITING = 256;
/** With the time-out of a call this stays below the time after which the sweep takes a hint for lost. */
const MAX_WAIT_MS = 2_000;

/**
 * Tells the queue which events wait. The first is told of at once; what is recorded while that call is under way, or
 * right after it, goes with the next one: so the cost of a hint falls as the load rises.
 */
export function createHints({ enqueue, onLost }: HintOptions): Hints {
  const jobs = createBatcher({
    flush: async (flushes: readonly (readonly NewEvent[])[]) => {
      const events = flushes.flat();
      const eventIds = events.map(({ eventId }) => eventId);
      const pause = sleep(PAUSE_MS);
      try {
        await enqueue({ eventIds, name: nameOfJob(events) });
      } finally {
        await pause;
      }
      return flushes.map(() => undefined);
    },
    maxBatch: MAX_FLUSHES_IN_JOB,
    maxWaiting: MAX_FLUSHES_WAITING,
    maxWaitMs: MAX_WAIT_MS,
    isItemFault: () => false,
  });
  return {
    place: (events) => {
      jobs.add(events).catch(() => {
        onLost();
      });
    },
    drain: jobs.drain,
  };
}

/** For the eye of an operator who looks at the queue. */
function nameOfJob(events: readonly NewEvent[]): string {
  const [first] = events;
  return events.length === 1 && first ? first.eventType : "events";
}
