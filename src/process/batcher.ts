/** Too many wait already: the caller should refuse and let the sender try again. */
export class OverloadedError extends Error {
  constructor() {
    super("too many wait for their turn");
    this.name = "OverloadedError";
  }
}

export interface BatcherOptions<Item, Result> {
  /** Does the work of many at once; one result for each item, in their order. */
  readonly flush: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly maxBatch: number;
  /** What an item counts towards `maxBatch`; 1 without it. A single item is a batch however much it counts. */
  readonly sizeOf?: (item: Item) => number;
  /**
   * From so many items on, a batch is at most half of what is under way: of what waits, and of what the batch before has
   * just answered. Senders that wait for their answers then keep two batches of one size going: while one is flushed,
   * the other is answered and asked anew. Without it a large and a small batch take turns for seconds, and whoever makes
   * the items rests while the large one is flushed.
   */
  readonly halveFrom?: number;
  /** How many may wait while a flush is under way; beyond it `add` refuses. */
  readonly maxWaiting: number;
  /** When the first in the queue has waited for so long, `add` refuses, too: a count says little when flushes are slow. */
  readonly maxWaitMs?: number;
  /** Whether a failed batch is worth trying item by item: the fault may be in one of them. */
  readonly isItemFault: (error: unknown) => boolean;
}

export interface Batcher<Item, Result> {
  /** @throws OverloadedError when too many wait; else what `flush` threw */
  readonly add: (item: Item) => Promise<Result>;
  /** Resolves when nothing waits and nothing is under way. */
  readonly drain: () => Promise<void>;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly since: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: items that arrive while a flush is under way form the next batch, or the next two. An idle batcher flushes at
 * once, so that a lone item waits for nobody; a linger timer gained nothing when measured.
 */
export function createBatcher<Item, Result>(
  options: BatcherOptions<Item, Result>,
): Batcher<Item, Result> {
  let waiting: Waiting<Item, Result>[] = [];
  let running: Promise<void> | undefined;
  const { maxWaitMs = Infinity, halveFrom = Infinity } = options;

  const add = (item: Item): Promise<Result> => {
    const since = performance.now();
    const longest = since - (waiting[0]?.since ?? since);
    if (waiting.length >= options.maxWaiting || longest > maxWaitMs) {
      return Promise.reject(new OverloadedError());
    }
    return new Promise((resolve, reject) => {
      waiting.push({ item, since, resolve, reject });
      running ??= run();
    });
  };

  const run = async (): Promise<void> => {
    // What comes in the same turn of the event loop is there before the first batch is cut.
    await Promise.resolve();
    let flushed = 0;
    while (waiting.length > 0) {
      const half = Math.ceil((waiting.length + flushed) / 2);
      const count = Math.min(
        countOfFullBatch(waiting, options),
        Math.max(half, halveFrom),
      );
      const batch = waiting.slice(0, count);
      waiting = waiting.slice(count);
      await flushBatch(batch, options);
      flushed = batch.length;
    }
    running = undefined;
  };

  const drain = async (): Promise<void> => {
    while (running !== undefined) await running;
  };

  return { add, drain };
}

function countOfFullBatch<Item, Result>(
  waiting: readonly Waiting<Item, Result>[],
  { maxBatch, sizeOf }: BatcherOptions<Item, Result>,
): number {
  if (sizeOf === undefined) return maxBatch;
  let size = 0;
  const over = waiting.findIndex(
    ({ item }) => (size += sizeOf(item)) > maxBatch,
  );
  return over === -1 ? waiting.length : Math.max(1, over);
}

async function flushBatch<Item, Result>(
  batch: readonly Waiting<Item, Result>[],
  options: BatcherOptions<Item, Result>,
): Promise<void> {
  try {
    const results = await options.flush(batch.map(({ item }) => item));
    batch.forEach(({ resolve }, index) => {
      // `flush` gives one result for each item; the index is in range.
      resolve(results[index] as Result);
    });
  } catch (error) {
    if (batch.length === 1 || !options.isItemFault(error)) {
      for (const { reject } of batch) reject(error);
      return;
    }
    for (const single of batch) await flushBatch([single], options);
  }
}
