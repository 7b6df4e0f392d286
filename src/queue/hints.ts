import { setTimeout as sleep } from "node:timers/promises";
import { createBatcher } from "../process/batcher.ts";
import type { NewEvent } from "../receive-webhook.ts";
import type { EventHint } from "./event-queue.ts";

export interface HintOptions {
  /** Adds one job; settles in bounded time. */
  readonly enqueue: (hint: EventHint) => Promise<void>;
  /** Told that the queue was not told of some events: the sweep finds them. */
  readonly onLost: () => void;
  /** Ends the pause after a call; by the clock unless a test says otherwise. */
  readonly pause?: () => Promise<unknown>;
}

export interface Hints {
  /** Returns at once: an answer never waits for the queue. */
  readonly place: (events: readonly NewEvent[]) => void;
  /** Resolves when every hint has arrived or is lost. */
  readonly drain: () => Promise<void>;
}

/** Between two calls, each of which costs as much as recording ten events. No person sees an event wait for so long. */
const PAUSE_MS = 10;
/** A worker takes a long job in several transactions, so a job need not be small. */
const MAX_FLUSHES_IN_JOB = 32;
/** What is kept in memory while the queue is away; the sweep finds the rest. */
const MAX_FLUSHES_WAITING = 256;
/** With the time-out of a call this stays below the time after which the sweep takes a hint for lost. */
const MAX_WAIT_MS = 2_000;

/**
 * Tells the queue which events wait. The first is told of at once; what is recorded while that call is under way, or
 * right after it, goes with the next one: so the cost of a hint falls as the load rises.
 */
export function createHints({
  enqueue,
  onLost,
  pause = () => sleep(PAUSE_MS),
}: HintOptions): Hints {
  const jobs = createBatcher({
    flush: async (flushes: readonly (readonly NewEvent[])[]) => {
      const events = flushes.flat();
      const paused = pause();
      try {
        await enqueue({
          eventIds: events.map(({ eventId }) => eventId),
          name: nameOfJob(events),
        });
      } finally {
        await paused;
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

/** Shown to an operator who looks at the queue. */
function nameOfJob(events: readonly NewEvent[]): string {
  const [first] = events;
  return events.length === 1 && first ? first.eventType : "events";
}
