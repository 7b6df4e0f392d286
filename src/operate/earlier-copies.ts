import { rebuildScope } from "./recompute.ts";
import { PROJECTIONS } from "../projections/index.ts";
import type { Database, Transaction } from "../store/database.ts";
import { inTransaction } from "../store/database.ts";
import type { LoweredEvent } from "../store/earlier-copies.ts";
import {
  findEarlierCopies,
  findStalledCopies,
  takeEarlierCopies,
} from "../store/earlier-copies.ts";
import { findRowsWithoutCard } from "../store/events-without-card.ts";
import { isPassingFault } from "../store/errors.ts";
import type { ColumnChange } from "./row-changes.ts";

/** Of so many events the cards are computed in one transaction: a few megabytes of bodies. */
const BATCH = 100;

/**
 * 2b. From copies that were signed before what their events were applied with, to rows that do not depend on which copy
 * came first. To apply an event again would change nothing: the later time would go on counting. So its card is computed
 * anew, in the transaction that lowers the event's signed time.
 *
 * @returns how many events count as signed earlier now
 */
export async function applyEarlierCopies(
  db: Database,
  eventIds: readonly string[],
): Promise<number> {
  const noted = await findEarlierCopies(db, eventIds);
  let count = 0;
  for (let at = 0; at < noted.length; at += BATCH)
    count += await applyTogether(db, noted.slice(at, at + BATCH));
  return count;
}

/** The same for copies that nobody was told of, or whose worker died. */
export async function applyStalledCopies(
  db: Database,
  graceMs: number,
  signal: AbortSignal,
): Promise<number> {
  let count = 0;
  for (;;) {
    const stalled = await findStalledCopies(db, graceMs, BATCH);
    count += await applyTogether(db, stalled);
    if (stalled.length === 0 || signal.aborted) return count;
  }
}

/** If all together fail, one after the other, so that one at fault does not hold the rest. @throws what the last one did */
async function applyTogether(
  db: Database,
  eventIds: readonly string[],
): Promise<number> {
  if (eventIds.length === 0) return 0;
  try {
    return await inTransaction(db, async (trx) => {
      const lowered = await takeEarlierCopies(trx, eventIds);
      await computeAnew(trx, lowered);
      return lowered.length;
    });
  } catch (error) {
    if (eventIds.length === 1 || isPassingFault(error)) throw error;
  }
  let count = 0;
  let failure: Error | undefined;
  for (const eventId of eventIds) {
    try {
      count += await applyTogether(db, [eventId]);
    } catch (error) {
      failure = error as Error;
    }
  }
  if (failure !== undefined) throw failure;
  return count;
}

/** Of an event that was not applied nothing was computed. */
export async function computeAnew(
  trx: Transaction,
  lowered: readonly LoweredEvent[],
): Promise<readonly ColumnChange[]> {
  const applied = lowered.filter(({ state }) => state === "processed");
  const cardIds = applied
    .map(({ cardId }) => cardId)
    .filter((cardId) => cardId !== null);
  const rows = await findRowsWithoutCard(
    trx,
    applied.map(({ eventId }) => eventId),
    PROJECTIONS,
  );
  if (cardIds.length + rows.length === 0) return [];
  const scope = { cardIds: [...new Set(cardIds)], rows };
  const { changes } = await rebuildScope(trx, scope);
  return changes;
}
