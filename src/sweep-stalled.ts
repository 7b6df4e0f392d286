import type { StalledEvent } from "./store/inbox.ts";

export interface RequeueOptions {
  /** Ends it after the batch under way. */
  readonly signal: AbortSignal;
  /** When the oldest hint that still waits in the queue was placed; undefined when none waits. */
  readonly oldestWaitingAt: () => Promise<Date | undefined>;
  /** Takes events that nobody will come for; see `takeStalledEvents`. */
  readonly takeStalled: (
    placedBefore: Date | undefined,
    limit: number,
  ) => Promise<readonly StalledEvent[]>;
  readonly enqueue: (
    events: readonly StalledEvent[],
    oneByOne: boolean,
  ) => Promise<void>;
  /** Applies events here and now, without the queue. */
  readonly reconcile: (
    eventIds: readonly string[],
    oneByOne: boolean,
  ) => Promise<void>;
}

export interface RequeueCounts {
  /** Hinted again through the queue. */
  readonly requeued: number;
  /** Applied on the spot, since the queue could not be reached. */
  readonly reconciled: number;
}

/** Well within what a worker applies in one transaction. */
const BATCH = 200;

/**
 * 3. Finds events that are recorded and that nobody finished, and hints again. The queue is only a hint: it may
 * be down, full, restarted or flushed at any moment, and no event may wait for it longer than this period.
 *
 * A row that waits in a deep but living queue is not hinted again: hints are worked in the order in which they
 * were placed, so only a row that is older than the oldest waiting hint has lost its own. And while the queue
 * cannot be reached at all, the events are applied from here.
 */
export async function requeueStalled(
  options: RequeueOptions,
): Promise<RequeueCounts> {
  const queue = await lookAtQueue(options);
  const counts = { requeued: 0, reconciled: 0 };
  for (;;) {
    const stalled = await options.takeStalled(queue.placedBefore, BATCH);
    // Whoever was hinted again once and still waits may be what ended the worker: one at a time, counted. But not
    // while there are many: then it is the queue that lost its hints, and one at a time a backlog would only grow.
    const isBacklog = stalled.length === BATCH;
    for (const oneByOne of [false, true]) {
      const events = stalled.filter(
        ({ wasHintedAgain }) => (wasHintedAgain && !isBacklog) === oneByOne,
      );
      if (events.length === 0) continue;
      queue.isReachable &&= await placed(options, events, oneByOne);
      if (queue.isReachable) {
        counts.requeued += events.length;
      } else {
        const eventIds = events.map(({ eventId }) => eventId);
        await options.reconcile(eventIds, oneByOne);
        counts.reconciled += events.length;
      }
    }
    if (stalled.length < BATCH || options.signal.aborted) return counts;
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
async function lookAtQueue({ oldestWaitingAt }: RequeueOptions) {
  const startedMs = Date.now();
  try {
    const oldest = await oldestWaitingAt();
    const oldestMs = oldest === undefined ? Infinity : oldest.getTime();
    const placedBefore = new Date(
      Math.min(startedMs, oldestMs - HINT_DELAY_MS),
    );
    return { isReachable: true, placedBefore };
  } catch {
    return { isReachable: false, placedBefore: new Date(startedMs) };
  }
}

async function placed(
  { enqueue }: RequeueOptions,
  events: readonly StalledEvent[],
  oneByOne: boolean,
): Promise<boolean> {
  try {
    await enqueue(events, oneByOne);
    return true;
  } catch {
    return false;
  }
}
