import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../store/database.ts";
import { dropOldBodies, dropResolvedBodies } from "../store/retention.ts";

export interface PruneOptions {
  /** Ends it after the batch under way. */
  readonly signal?: AbortSignal;
  /** Between two batches, so that the database can breathe. */
  readonly pauseMs: number;
  /** Told of each batch. */
  readonly onDropped?: (count: number) => void;
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
  db: Database,
  before: Date,
  options: PruneOptions,
): Promise<PruneCounts> {
  return {
    events: await inBatches(() => dropOldBodies(db, before, BATCH), options),
    quarantined: await inBatches(
      () => dropResolvedBodies(db, before, BATCH),
      options,
    ),
  };
}

async function inBatches(
  drop: () => Promise<number>,
  { signal, pauseMs, onDropped }: PruneOptions,
): Promise<number> {
  let total = 0;
  while (signal?.aborted !== true) {
    const dropped = await drop();
    total += dropped;
    onDropped?.(dropped);
    if (dropped < BATCH) break;
    await sleep(pauseMs);
  }
  return total;
}
