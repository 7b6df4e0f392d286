import { createBatcher } from "./batcher.ts";

export interface LanesOptions {
  readonly lanes: number;
  /** Says of each id what it is about; a query for all of them. */
  readonly findKeys: (
    ids: readonly string[],
  ) => Promise<ReadonlyMap<string, string>>;
  /** Does the work of many jobs of one lane at once. */
  readonly work: (ids: readonly string[]) => Promise<void>;
  readonly maxJobsTogether: number;
  /** So few ids that come together stay together, in the first lane: they would cost two transactions instead of one. */
  readonly fewIds: number;
}

/** @returns resolves when all its ids were worked on; rejects, then too, with what went wrong first */
export type AddJob = (ids: readonly string[]) => Promise<void>;

/**
 * Spreads work over lanes that run side by side, by what it is about: what is about one thing stays in one lane, so
 * lanes hardly ever wait for each other's locks. What comes while a lane is busy goes together in its next turn.
 */
export function createLanes(options: LanesOptions): AddJob {
  const { maxJobsTogether: maxBatch } = options;
  const forJobs = {
    maxBatch,
    maxWaiting: Infinity, // never more than the jobs that the caller takes at once
    isItemFault: () => false, // `work` looks for the one at fault itself
  };
  const split = createBatcher({
    flush: async (jobs: readonly (readonly string[])[]) => {
      const all = jobs.flat();
      if (all.length <= options.fewIds) return jobs.map((ids) => [ids]);
      // Without an answer they stay together, too: `work` meets what is wrong, tries again and tells it.
      const keys = await options.findKeys(all).catch(() => undefined);
      return keys === undefined
        ? jobs.map((ids) => [ids])
        : jobs.map((ids) => partsOf(ids, keys, options.lanes));
    },
    ...forJobs,
  });
  const lanes = Array.from({ length: options.lanes }, () =>
    createBatcher({
      flush: async (jobs: readonly (readonly string[])[]) => {
        await options.work(jobs.flat());
        return jobs.map(() => undefined);
      },
      ...forJobs,
    }),
  );
  return async (ids) => {
    const parts = await split.add(ids);
    const outcomes = await Promise.allSettled(
      lanes.map(async (lane, index) => {
        const part = parts[index] ?? [];
        if (part.length > 0) await lane.add(part);
      }),
    );
    for (const outcome of outcomes)
      if (outcome.status === "rejected") throw outcome.reason;
  };
}

/** What has no key is not there (any more), and left out. */
function partsOf(
  ids: readonly string[],
  keys: ReadonlyMap<string, string>,
  count: number,
): string[][] {
  const parts = Array.from({ length: count }, (): string[] => []);
  for (const id of ids) {
    const key = keys.get(id);
    if (key !== undefined) parts[hash(key) % count]?.push(id);
  }
  return parts;
}

/** FNV-1a, 32 bits: ids that are counted up are spread as evenly as random ones. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  return value >>> 0;
}
