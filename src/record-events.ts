import type { BatcherOptions } from "./batcher.ts";
import { createBatcher } from "./batcher.ts";
import type { Found, Identity, InboxEntry, Recorded } from "./store/inbox.ts";

export interface InboxWriterOptions {
  /** Makes entries durable in one commit; see `recordEvents`. */
  readonly record: (
    entries: readonly InboxEntry[],
  ) => Promise<readonly Recorded[]>;
  /** Looks for what is stored, without a commit; see `findCopies`. */
  readonly findCopies: (
    entries: readonly Identity[],
  ) => Promise<readonly Found[]>;
  /** Told of what a batch of either came to, and how long it took. */
  readonly onBatch: (
    results: readonly (Recorded | Found)[],
    durationMs: number,
  ) => void;
  /** Of each of the two. */
  readonly limits: Omit<BatcherOptions<InboxEntry, unknown>, "flush">;
}

export interface InboxWriter {
  /** Resolves when the entry, or what was there before it, is durable. @throws OverloadedError when too many wait */
  readonly add: (entry: InboxEntry) => Promise<Recorded>;
  /** Resolves when everything that was begun is stored. */
  readonly drain: () => Promise<void>;
}

/**
 * Entries that arrive together share a commit. UQPAY repeats what it heard no answer to, so copies come in crowds: in one,
 * an entry is looked for first, and only what is not found goes to a commit. A copy then sends no body, writes nothing,
 * and does not wait for the disk, not even for the few new ones beside it.
 */
export function createInboxWriter({
  record,
  findCopies,
  onBatch,
  limits,
}: InboxWriterOptions): InboxWriter {
  let isCrowdOfCopies = false;
  const told = async <Result extends Recorded | Found>(
    work: () => Promise<readonly Result[]>,
  ): Promise<readonly Result[]> => {
    const startedAt = performance.now();
    const results = await work();
    onBatch(results, performance.now() - startedAt);
    return results;
  };
  const commits = createBatcher({
    ...limits,
    flush: async (entries: readonly InboxEntry[]) => {
      const results = await told(() => record(entries));
      const copies = results.filter((result) => result !== "recorded").length;
      // Never the other way round: in a crowd of copies only what is new comes to a commit.
      if (copies * 2 > results.length) isCrowdOfCopies = true;
      return results;
    },
  });
  const lookups = createBatcher({
    ...limits,
    flush: async (entries: readonly InboxEntry[]) => {
      const found = await told(() => findCopies(entries));
      const copies = found.filter((result) => result !== undefined).length;
      isCrowdOfCopies = copies * 2 > found.length;
      return found;
    },
  });
  const lookFirst = async (entry: InboxEntry): Promise<Recorded> =>
    (await lookups.add(entry)) ?? commits.add(entry);
  return {
    add: (entry) => (isCrowdOfCopies ? lookFirst(entry) : commits.add(entry)),
    drain: async () => {
      // What a look-up did not find is with the commits before this goes on: its promise was settled earlier.
      await lookups.drain();
      await commits.drain();
    },
  };
}
