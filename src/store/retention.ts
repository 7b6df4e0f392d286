import { sql } from "kysely";
import type { Database, Transaction } from "./database.ts";

/**
 * Drops the bodies of events that were received before, oldest first. The rows stay: their ids are the
 * deduplication. What still waits, and what failed and may be replayed, keeps its body.
 *
 * @returns how many bodies were dropped; less than `limit` when none is left
 */
export async function dropOldBodies(
  db: Database,
  before: Date,
  limit: number,
): Promise<number> {
  const result = await sql`
    update webhook_events
    set body = null
    where event_id in (
      select event_id
      from webhook_events
      where body is not null and received_at < ${before} and state in ('processed', 'ignored')
      order by received_at
      limit ${limit}
      for update skip locked
    )
  `.execute(db);
  return Number(result.numAffectedRows ?? 0);
}

/** Drops the bodies of these events, whatever their age. */
export async function dropBodies(
  trx: Transaction,
  eventIds: readonly string[],
): Promise<void> {
  if (eventIds.length === 0) return;
  await sql`
    update webhook_events set body = null where event_id = any(${eventIds}::text[])
  `.execute(trx);
}

/** Drops the body of a quarantined delivery. */
export async function dropQuarantinedBody(
  trx: Transaction,
  id: string,
): Promise<void> {
  await sql`update quarantined_events set body = null where id = ${id}`.execute(
    trx,
  );
}

/** The same for quarantined deliveries that were dealt with; an open one is kept until an operator closes it. */
export async function dropResolvedBodies(
  db: Database,
  before: Date,
  limit: number,
): Promise<number> {
  const result = await sql`
    update quarantined_events
    set body = null
    where id in (
      select id
      from quarantined_events
      where body is not null and resolved_at < ${before}
      limit ${limit}
      for update skip locked
    )
  `.execute(db);
  return Number(result.numAffectedRows ?? 0);
}

/** How many bodies there are to drop. */
export async function countOldBodies(
  db: Database,
  before: Date,
): Promise<{ readonly events: number; readonly quarantined: number }> {
  const { rows } = await sql<{ events: number; quarantined: number }>`
    select
      (select count(*)::int from webhook_events
       where body is not null and received_at < ${before} and state in ('processed', 'ignored')) as events,
      (select count(*)::int from quarantined_events
       where body is not null and resolved_at < ${before}) as quarantined
  `.execute(db);
  return rows[0] ?? { events: 0, quarantined: 0 };
}
