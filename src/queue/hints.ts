import { setTimeout as sleep } from "node:timers/promises";
import { createBatcher } from "../process/batcher.ts";
import type { NewEvent } from "../receive-webhook.ts";

export interface HintOptions {
  /** Adds one job; settles in bounded time. */
  readonly enqueue: (hint: {
    readonly events: readonly NewEvent[];
    readonly name: string;
  }) => Promise<void>;
  /** Since when the job that is next waits for a worker; undefined when none does. Settles in bounded time. */
  readonly oldestWaitingAt: () => Promise<Date | undefined>;
  /** Told of events that the queue was not told of: the sweep finds them. */
  readonly onLost: () => void;
  /** Settles so many milliseconds later; by the clock unless a test says otherwise. */
  readonly pause?: (ms: number) => Promise<unknown>;
}

export interface Hints {
  /** Returns at once: nobody waits for the queue. */
  readonly place: (events: readonly NewEvent[]) => void;
  /** Resolves when every hint has arrived or is lost. */
  readonly drain: () => Promise<void>;
}

/** Between two calls. An event is not seen to wait for so long. */
const PAUSE_MS = 10;
/**
 * Between two calls while jobs wait for a worker for at least as long: whoever is at the end of that line is not served
 * later for it. A call costs Node.js and the queue as much as recording ten events, so that a hundred of them a second
 * take the place of a thousand.
 */
const LONG_PAUSE_MS = 40;
/** Between two looks at that line, each of which costs about a call. */
const LOOK_EVERY_MS = 100;
/**
 * A worker takes a long job in several transactions. Four connections record two thousand small batches in a second,
 * which is more than a full job each pause: behind one the next goes at once.
 */
const MAX_FLUSHES_IN_JOB = 32;
/** While the queue is away this is all that is kept in memory of it; the sweep finds the rest. */
const MAX_FLUSHES_WAITING = 256;
/** With the time-out of a call this stays below the time after which the sweep takes a hint for lost. */
const MAX_WAIT_MS = 2_000;

/**
 * Tells the queue which events wait. The first is told of at once; what is recorded while that call is under way, or
 * right after it, goes with the next one: so the cost of a hint falls as the load rises.
 */
export function createHints({
  enqueue,
  oldestWaitingAt,
  onLost,
  pause = sleep,
}: HintOptions): Hints {
  const choosePause = createPauseChooser(oldestWaitingAt);
  const jobs = createBatcher({
    flush: async (flushes: readonly (readonly NewEvent[])[]) => {
      const events = flushes.flat();
      const call = enqueue({ events, name: nameOfJob(events) });
      const isFull = flushes.length === MAX_FLUSHES_IN_JOB;
      const paused = isFull ? undefined : choosePause().then(pause);
      try {
        await call;
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

/** How long to pause; looks at the queue now and then, and takes one that does not answer for one without a line. */
function createPauseChooser(oldestWaitingAt: HintOptions["oldestWaitingAt"]) {
  let pauseMs = PAUSE_MS;
  let lookedAtMs = -Infinity;
  return async (): Promise<number> => {
    const nowMs = performance.now();
    if (nowMs - lookedAtMs < LOOK_EVERY_MS) return pauseMs;
    lookedAtMs = nowMs;
    const oldest = await oldestWaitingAt().catch(() => undefined);
    const waitsMs = oldest === undefined ? 0 : Date.now() - oldest.getTime();
    pauseMs = waitsMs >= LONG_PAUSE_MS ? LONG_PAUSE_MS : PAUSE_MS;
    return pauseMs;
  };
}

/** For the eye of an operator who looks at the queue. */
function nameOfJob(events: readonly NewEvent[]): string {
  const [first] = events;
  return events.length === 1 && first ? first.eventType : "events";
}
