export interface PruneOptions {
  readonly dropOldBodies: (before: Date, limit: number) => Promise<number>;
  readonly dropResolvedBodies: (before: Date, limit: number) => Promise<number>;
  /** Ends it after the batch under way. */
  readonly signal: AbortSignal;
  /** Lets the database breathe between two batches. */
  readonly pause: () => Promise<void>;
}

export interface PruneCounts {
  readonly events: number;
  readonly quarantined: number;
}

/** A transaction of some tens of milliseconds: an answer that comes behind it hardly notices. */
const BATCH = 1_000;

const DAY_MS = 86_400_000;

export function retentionLimit(retentionDays: number, nowMs: number): Date {
  return new Date(nowMs - retentionDays * DAY_MS);
}

/** Drops bodies that were received before, batch by batch until none is left. Event ids stay for ever. */
export async function pruneBodies(
  before: Date,
  options: PruneOptions,
): Promise<PruneCounts> {
  return {
    events: await inBatches(
      (limit) => options.dropOldBodies(before, limit),
      options,
    ),
    quarantined: await inBatches(
      (limit) => options.dropResolvedBodies(before, limit),
      options,
    ),
  };
}

async function inBatches(
  drop: (limit: number) => Promise<number>,
  { signal, pause }: PruneOptions,
): Promise<number> {
  let total = 0;
  while (!signal.aborted) {
    const dropped = await drop(BATCH);
    total += dropped;
    if (dropped < BATCH) break;
    await pause();
  }
  return total;
}
