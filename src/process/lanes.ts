import { createBatcher } from "./batcher.ts";

export interface LanesOptions {
  readonly lanes: number;
  /** Does the work of one lane, of many jobs at once. */
  readonly work: (ids: readonly string[]) => Promise<void>;
  /** How many ids at once. */
  readonly maxTogether: number;
  /** So many ids that wait are worth a lane; fewer stay together, in one piece of work instead of one in each lane. */
  readonly idsPerLane: number;
}

/**
 * @param partitions one number for each id: those of one partition stay in one lane; undefined: all of them do
 * @returns resolves when all its ids were worked on; rejects, then too, with what went wrong first
 */
export type AddJob = (
  ids: readonly string[],
  partitions?: readonly number[],
) => Promise<void>;

/** A long job is cut into pieces of so many ids: what is worked on at once ends between two of them. */
const PIECE = 50;

/**
 * Spreads work over lanes that run side by side, by what it is about: what is about one thing stays in one lane, so
 * lanes hardly ever wait for each other's locks. What comes while a lane is busy goes together in its next turn, and the
 * more waits, the more lanes take it. Where that number has just changed, one thing may be in two lanes: then one waits
 * for the other.
 */
export function createLanes(options: LanesOptions): AddJob {
  let waiting = 0;
  const lanes = Array.from({ length: options.lanes }, () =>
    createBatcher({
      flush: async (pieces: readonly (readonly string[])[]) => {
        const ids = pieces.flat();
        waiting -= ids.length;
        await options.work(ids);
        return pieces.map(() => undefined);
      },
      maxBatch: options.maxTogether,
      sizeOf: (ids) => ids.length,
      maxWaiting: Infinity, // never more than the jobs that the caller takes at once
      isItemFault: () => false, // `work` looks for the one at fault itself
    }),
  );
  return async (ids, partitions) => {
    waiting += ids.length;
    const worth = Math.ceil(waiting / options.idsPerLane);
    const parts =
      worth <= 1 || partitions === undefined
        ? [ids]
        : partsOf(ids, partitions, Math.min(worth, options.lanes));
    const outcomes = await Promise.allSettled(
      lanes.flatMap((lane, index) =>
        piecesOf(parts[index] ?? []).map((piece) => lane.add(piece)),
      ),
    );
    for (const outcome of outcomes)
      if (outcome.status === "rejected") throw outcome.reason;
  };
}

function partsOf(
  ids: readonly string[],
  partitions: readonly number[],
  count: number,
): string[][] {
  const parts = Array.from({ length: count }, (): string[] => []);
  ids.forEach((id, index) => {
    parts[(partitions[index] ?? 0) % count]?.push(id);
  });
  return parts;
}

function piecesOf(ids: readonly string[]): (readonly string[])[] {
  const pieces = [];
  for (let at = 0; at < ids.length; at += PIECE)
    pieces.push(ids.slice(at, at + PIECE));
  return pieces;
}
