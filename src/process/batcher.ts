/** Too many items wait already: the caller should refuse this one and let its sender try again. */
export class OverloadedError extends Error {
  constructor() {
    super("overloaded: the queue is full");
    this.name = "OverloadedError";
  }
}

export interface BatcherOptions<Item, Result> {
  /** Does the work of many items at once; gives one result for each, in their order. */
  readonly flush: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly maxBatch: number;
  /** How many may wait while a flush is under way; beyond it `add` refuses. */
  readonly maxWaiting: number;
  /** `add` refuses also while the first in the queue has waited for so long: a count says little when flushes are slow. */
  readonly maxWaitMs?: number;
  /** Whether one item of a failed batch may be at fault. */
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
 * Group commit: items that arrive while a flush is under way form the next batch. An idle batcher flushes at once, so a
 * lone item never waits for company.
 */
export function createBatcher<Item, Result>(
  options: BatcherOptions<Item, Result>,
): Batcher<Item, Result> {
  const { maxBatch, maxWaiting, maxWaitMs = Infinity } = options;
  let waiting: Waiting<Item, Result>[] = [];
  let running: Promise<void> | undefined;

  const run = async (): Promise<void> => {
    // Items that are added one right after the other belong to the first batch.
    await Promise.resolve();
    while (waiting.length > 0) {
      const batch = waiting.slice(0, maxBatch);
      waiting = waiting.slice(maxBatch);
      await flushBatch(batch, options);
    }
    running = undefined;
  };

  return {
    add: (item) =>
      new Promise((resolve, reject) => {
        const since = performance.now();
        const longest = since - (waiting[0]?.since ?? since);
        if (waiting.length >= maxWaiting || longest > maxWaitMs)
          throw new OverloadedError();
        waiting.push({ item, since, resolve, reject });
        running ??= run();
      }),
    drain: async () => {
      while (running !== undefined) await running;
    },
  };
}

/** Where an item may be at fault, a failed batch is tried again in halves, down to that item. */
async function flushBatch<Item, Result>(
  batch: readonly Waiting<Item, Result>[],
  options: BatcherOptions<Item, Result>,
): Promise<void> {
  try {
    const results = await options.flush(batch.map(({ item }) => item));
    batch.forEach(({ resolve }, index) => {
      // `flush` gives one result for each item, so the index is in range.
      resolve(results[index] as Result);
    });
  } catch (error) {
    if (batch.length === 1 || !options.isItemFault(error)) {
      for (const { reject } of batch) reject(error);
      return;
    }
    const middle = Math.ceil(batch.length / 2);
    await flushBatch(batch.slice(0, middle), options);
    await flushBatch(batch.slice(middle), options);
  }
}
