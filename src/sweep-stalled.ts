import type { EventQueue } from "./queue/event-queue.ts";
import type { Database } from "./store/database.ts";
import { takeStalledEvents } from "./store/waiting-events.ts";

export interface SweepOptions {
  readonly db: Database;
  readonly queue: Pick<EventQueue, "oldestWaitingAt" | "enqueue">;
  /** Applies events here and now, without the queue. */
  readonly apply: (
    eventIds: readonly string[],
    oneByOne: boolean,
  ) => Promise<void>;
  /** Ends it after the batch under way. */
  readonly signal: AbortSignal;
  /** An event that was hinted later than this ago is left to its hint. */
  readonly graceMs?: number;
}

export interface SweepCounts {
  /** Hinted again through the queue. */
  readonly requeued: number;
  /** Applied on the spot, since the queue could not be reached. */
  readonly reconciled: number;
}

/** Well within what a worker applies in one transaction. */
const BATCH = 200;
/** Longer than a hint takes to be placed: an event that young has not lost its hint. */
export const STALLED_GRACE_MS = 3_000;

/**
 * 3. Finds events that are recorded and not finished, and hints again. The queue is only a hint: it may be down, full,
 * restarted or flushed at any moment, and no event may wait for it longer than this period.
 *
 * A row that waits in a deep but living queue is not hinted again: hints are worked in the order in which they were
 * placed, so only a row that is older than the oldest waiting hint has lost its own. And while the queue cannot be
 * reached at all, the events are applied from here.
 */
export async function sweepStalled(
  options: SweepOptions,
): Promise<SweepCounts> {
  const { db, queue, apply, signal, graceMs = STALLED_GRACE_MS } = options;
  const { placedBefore, ...found } = await lookAtQueue(queue);
  let { isReachable } = found;
  const counts = { requeued: 0, reconciled: 0 };
  for (;;) {
    const stalled = await takeStalledEvents(db, graceMs, placedBefore, BATCH);
    // An event that was hinted again once and still waits may be what ended the worker: one at a time, counted. But not
    // while there are many: then it is the queue that lost its hints, and one at a time a backlog would only grow.
    const isBacklog = stalled.length === BATCH;
    for (const oneByOne of [false, true]) {
      const eventIds = stalled
        .filter((event) => (event.wasHintedAgain && !isBacklog) === oneByOne)
        .map(({ eventId }) => eventId);
      if (eventIds.length === 0) continue;
      isReachable &&= await queue
        .enqueue({ eventIds, name: "stalled", oneByOne })
        .then(
          () => true,
          () => false,
        );
      if (!isReachable) await apply(eventIds, oneByOne);
      counts[isReachable ? "requeued" : "reconciled"] += eventIds.length;
    }
    if (stalled.length < BATCH || signal.aborted) return counts;
  }
}

/**
 * A hint is placed after its event is stored, within four seconds (see `createHints`), and clocks of two machines
 * differ a little: so much later than its event the event's own hint may bear its time.
 */
const HINT_DELAY_MS = 5_000;

/**
 * One cut-off for the whole sweep, taken at its start: a sweep that takes long would otherwise come upon the rows
 * again that it has hinted at itself.
 */
async function lookAtQueue(queue: Pick<EventQueue, "oldestWaitingAt">) {
  const startedMs = Date.now();
  try {
    const oldest = await queue.oldestWaitingAt();
    const oldestMs = oldest === undefined ? Infinity : oldest.getTime();
    const placedBefore = new Date(
      Math.min(startedMs, oldestMs - HINT_DELAY_MS),
    );
    return { isReachable: true, placedBefore };
  } catch {
    return { isReachable: false, placedBefore: new Date(startedMs) };
  }
}
