import { sql } from "kysely";
import type { Instant } from "../domain/instant.ts";
import { earlier } from "../domain/instant.ts";
import type { Database, EventState, Transaction } from "./database.ts";

/** A copy of an event that is stored. */
export interface Copy {
  readonly eventId: string;
  readonly bodySha256: Buffer;
  readonly signedAt: Instant;
}

/**
 * Lowers the signed time of events to that of their copies. An event that was applied is not touched: its copy is noted,
 * and `takeEarlierCopies` lowers it together with what was computed from it, so that the inbox and the projection never
 * disagree. One that a worker has in hand is noted, too: an answer must not wait for the worker's lock.
 *
 * @returns the events of which a copy was noted
 */
export async function recordEarlierCopies(
  db: Database,
  copies: readonly Copy[],
): Promise<ReadonlySet<string>> {
  if (copies.length === 0) return new Set();
  const firsts = [...earliestOfEach(copies).values()];
  const eventIds = firsts.map((copy) => copy.eventId);
  const digests = firsts.map((copy) => copy.bodySha256);
  const times = firsts.map((copy) => copy.signedAt);
  const { rows } = await sql<{ event_id: string }>`/* record-earlier-copies */
    with copy as (
      select *
      from unnest(${eventIds}::text[], ${digests}::bytea[], ${times}::timestamptz[])
        as copy (event_id, body_sha256, signed_at)
    ), not_in_hand as (
      select event.event_id
      from webhook_events event
      join copy on copy.event_id = event.event_id and copy.body_sha256 = event.body_sha256
      where event.event_id = any(${eventIds}::text[]) and event.state <> 'processed' and copy.signed_at < event.signed_at
      order by event.event_id
      for update of event skip locked
    ), lowered as (
      update webhook_events event
      set signed_at = copy.signed_at
      from copy, not_in_hand
      where event.event_id = copy.event_id and event.event_id = not_in_hand.event_id
      returning event.event_id
    )
    insert into earlier_copies (event_id, signed_at)
    select copy.event_id, copy.signed_at
    from copy
    join webhook_events event on event.event_id = copy.event_id and event.body_sha256 = copy.body_sha256
    where event.event_id = any(${eventIds}::text[]) and copy.signed_at < event.signed_at
      and copy.event_id not in (select event_id from lowered)
    returning event_id`.execute(db);
  return new Set(rows.map((row) => row.event_id));
}

function earliestOfEach(copies: readonly Copy[]): ReadonlyMap<string, Copy> {
  const earliest = new Map<string, Copy>();
  for (const copy of copies) {
    const known = earliest.get(copy.eventId);
    if (known === undefined || copy.signedAt < known.signedAt)
      earliest.set(copy.eventId, copy);
  }
  return earliest;
}

/** Those of these events of which a noted copy waits. */
export async function findEarlierCopies(
  db: Database,
  eventIds: readonly string[],
): Promise<string[]> {
  const { rows } = await sql<{ event_id: string }>`
    select distinct event_id
    from earlier_copies
    where taken_at is null and event_id = any(${eventIds}::text[])
  `.execute(db);
  return rows.map((row) => row.event_id);
}

/** Events of which a copy was noted longer ago than this, the longest first. */
export async function findStalledCopies(
  db: Database,
  graceMs: number,
  limit: number,
): Promise<string[]> {
  const { rows } = await sql<{ event_id: string }>`
    select event_id
    from earlier_copies
    where taken_at is null and received_at < now() - make_interval(secs => ${graceMs / 1000}::double precision)
    order by received_at
    limit ${limit}
  `.execute(db);
  return [...new Set(rows.map((row) => row.event_id))];
}

/** An event that counts as signed earlier than before. */
export interface LoweredEvent {
  readonly eventId: string;
  readonly cardId: string | null;
  readonly state: EventState;
}

/** Takes the copies that were noted of these events, and lowers the events' signed times: both are locked until the end. */
export async function takeEarlierCopies(
  trx: Transaction,
  eventIds: readonly string[],
): Promise<LoweredEvent[]> {
  await lockEvents(trx, eventIds);
  const { rows } = await sql<{ event_id: string; signed_at: Instant }>`
    update earlier_copies
    set taken_at = clock_timestamp()
    where taken_at is null and event_id = any(${eventIds}::text[])
    returning event_id, signed_at
  `.execute(trx);
  const times = new Map<string, Instant>();
  for (const { event_id: eventId, signed_at: signedAt } of rows)
    times.set(eventId, earlier(times.get(eventId) ?? signedAt, signedAt));
  return lowerSignedTimes(trx, times);
}

/** In the order of ids, as workers take events: so two never wait in a circle. */
async function lockEvents(
  trx: Transaction,
  eventIds: readonly string[],
): Promise<void> {
  await sql`
    select from webhook_events where event_id = any(${eventIds}::text[]) order by event_id for update
  `.execute(trx);
}

/** @returns the events that were signed later than that */
export async function lowerSignedTimes(
  trx: Transaction,
  times: ReadonlyMap<string, Instant>,
): Promise<LoweredEvent[]> {
  const { rows } = await sql<LoweredEvent>`
    update webhook_events event
    set signed_at = copy.signed_at
    from unnest(${[...times.keys()]}::text[], ${[...times.values()]}::timestamptz[]) as copy (event_id, signed_at)
    where event.event_id = copy.event_id and copy.signed_at < event.signed_at
    returning event.event_id as "eventId", event.card_id as "cardId", event.state
  `.execute(trx);
  return rows;
}

/** How long the noted copy that came first has waited, in seconds; 0 when none waits. */
export async function findOldestCopySeconds(db: Database): Promise<number> {
  const { rows } = await sql<{ seconds: number }>`
    select coalesce(extract(epoch from now() - min(received_at)), 0)::float8 as seconds
    from earlier_copies
    where taken_at is null
  `.execute(db);
  return rows[0]?.seconds ?? 0;
}
