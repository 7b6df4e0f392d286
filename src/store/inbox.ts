import { sql } from "kysely";
import type { Instant } from "../domain/instant.ts";
import type { Database, Transaction } from "./database.ts";
import { recordEarlierCopies } from "./earlier-copies.ts";
import { findQuarantinedTimes } from "./quarantine.ts";

/** What is wrong with a field, by its path in the delivered JSON. */
export interface FieldIssue {
  readonly path: string;
  readonly message: string;
}

/** An event to record. */
export interface InboxEntry {
  readonly eventId: string;
  readonly eventType: string;
  readonly eventName: string | undefined;
  readonly version: string | undefined;
  readonly sourceId: string | undefined;
  readonly cardId: string | undefined;
  /** The exact text that was signed; undefined where it must not be kept. */
  readonly body: string | undefined;
  readonly bodySha256: Buffer;
  readonly signedAt: Instant;
  readonly state: "received" | "ignored";
  /** Optional fields that could not be read. */
  readonly issues: readonly FieldIssue[];
}

/**
 * `conflict`: the event_id is stored already, with another content. `earlier`: a copy that was signed before what the
 * event was applied with; see `recordEarlierCopies`.
 */
export type Recorded = "recorded" | "duplicate" | "earlier" | "conflict";

/**
 * Records events in one statement, which is one commit. Once it resolves, every entry is durable: its own
 * row, or the row that was there before.
 *
 * @returns one result for each entry, in their order
 */
export async function recordEvents(
  db: Database,
  entries: readonly InboxEntry[],
): Promise<Recorded[]> {
  const rows = rowsOf(entries);
  const inserted = await insertNew(db, rows);
  const found = await compareWithStored(
    db,
    entries,
    rows.filter(({ eventId }) => inserted.has(eventId)),
  );
  // The first of the copies that came together is the one that was recorded.
  return entries.map(({ eventId }, index) =>
    inserted.delete(eventId) ? "recorded" : (found[index] ?? "duplicate"),
  );
}

/**
 * One row for each id, which counts as signed when the earliest of its copies was. In the order of ids: two instances
 * that insert the same ids in two orders would deadlock.
 */
function rowsOf(entries: readonly InboxEntry[]): InboxEntry[] {
  const rows = new Map<string, InboxEntry>();
  for (const entry of entries) {
    const { eventId, signedAt } = entry;
    const row = rows.get(eventId) ?? entry;
    const isEarlier = isCopyOf(entry, row) && signedAt < row.signedAt;
    rows.set(eventId, isEarlier ? { ...row, signedAt } : row);
  }
  return [...rows.values()].toSorted((a, b) =>
    a.eventId < b.eventId ? -1 : 1,
  );
}

/** What tells a copy of an event from another content under its id. */
export type Identity = Pick<InboxEntry, "eventId" | "bodySha256"> & {
  /** Undefined where the header was no time. */
  readonly signedAt: Instant | undefined;
};

/** What is stored under the id: the same, something else, or nothing. */
export type Found = Exclude<Recorded, "recorded"> | undefined;

/**
 * Looks for events without sending or storing them. What is stored counts as signed when the earliest of its copies was,
 * these included.
 *
 * @returns one result for each entry, in their order
 */
export async function findCopies(
  db: Database,
  entries: readonly Identity[],
): Promise<Found[]> {
  return compareWithStored(db, entries, []);
}

type Stored = Pick<InboxEntry, "eventId" | "bodySha256" | "signedAt">;

/**
 * Always behind what was written, in statements of its own: they see what another transaction committed meanwhile. So of
 * a stale copy that goes to the quarantine while its event is recorded, one of the two finds the other.
 *
 * @param inserted what has just been inserted
 */
async function compareWithStored(
  db: Database,
  entries: readonly Identity[],
  inserted: readonly Stored[],
): Promise<Found[]> {
  const stored = new Map(inserted.map((one) => [one.eventId, one]));
  const others = entries.filter(({ eventId }) => !stored.has(eventId));
  const [found, quarantined] = await Promise.all([
    findStored(db, [...new Set(others.map(({ eventId }) => eventId))]),
    findQuarantinedTimes(db, entries),
  ]);
  for (const one of found) stored.set(one.eventId, one);
  const copies = entries.flatMap((entry) => {
    const { eventId, bodySha256 } = entry;
    const original = stored.get(eventId);
    if (original === undefined || !isCopyOf(entry, original)) return [];
    return [entry.signedAt, quarantined.get(bodySha256.toString("hex"))]
      .filter((signedAt) => signedAt !== undefined)
      .filter((signedAt) => signedAt < original.signedAt)
      .map((signedAt) => ({ eventId, bodySha256, signedAt }));
  });
  const noted = await recordEarlierCopies(db, copies);
  return entries.map((entry) => {
    const original = stored.get(entry.eventId);
    if (original === undefined) return undefined;
    if (!isCopyOf(entry, original)) return "conflict";
    return noted.has(entry.eventId) ? "earlier" : "duplicate";
  });
}

function isCopyOf(
  { bodySha256 }: Pick<Identity, "bodySha256">,
  stored: Stored,
): boolean {
  return stored.bodySha256.equals(bodySha256);
}

/**
 * Leaves out first what is seen to be stored: `on conflict` alone waits for a worker that is about to mark the event as
 * processed. Not by a join, for which PostgreSQL might read the whole inbox.
 */
async function insertNew(
  db: Database,
  rows: readonly InboxEntry[],
): Promise<Set<string>> {
  if (rows.length === 0) return new Set();
  const column = <Value>(read: (row: InboxEntry) => Value) => rows.map(read);
  const result = await sql<{ event_id: string }>`/* record-events */
    insert into webhook_events
      (event_id, event_type, event_name, version, source_id, card_id, body, body_sha256, signed_at, state, issues)
    select event_id, event_type, event_name, version, source_id, card_id, body, body_sha256,
      least(signed_at, (select min(signed_at) from quarantined_events kept where kept.body_sha256 = entry.body_sha256)),
      state, issues::jsonb
    from unnest(
      ${column((row) => row.eventId)}::text[],
      ${column((row) => row.eventType)}::text[],
      ${column((row) => row.eventName)}::text[],
      ${column((row) => row.version)}::text[],
      ${column((row) => row.sourceId)}::text[],
      ${column((row) => row.cardId)}::text[],
      ${column((row) => row.body)}::text[],
      ${column((row) => row.bodySha256)}::bytea[],
      ${column((row) => row.signedAt)}::timestamptz[],
      ${column((row) => row.state)}::text[],
      ${column((row) => issuesJson(row.issues))}::text[]
    ) as entry (event_id, event_type, event_name, version, source_id, card_id, body, body_sha256, signed_at, state, issues)
    where (select true from webhook_events stored where stored.event_id = entry.event_id) is null
    on conflict (event_id) do nothing
    returning event_id`.execute(db);
  return new Set(result.rows.map((row) => row.event_id));
}

/** For the column `issues`: null where there is none. */
export function issuesJson(issues: readonly FieldIssue[]): string | null {
  return issues.length === 0 ? null : JSON.stringify(issues);
}

/** What tells their copies, of those events that are stored. */
async function findStored(
  db: Database,
  eventIds: readonly string[],
): Promise<readonly Stored[]> {
  if (eventIds.length === 0) return [];
  const { rows } = await sql<Stored>`/* find-stored */
    select event_id as "eventId", body_sha256 as "bodySha256", signed_at as "signedAt"
    from webhook_events
    where event_id = any(${eventIds}::text[])`.execute(db);
  return rows;
}

/** The digest of one stored event, if it is stored. */
export async function findStoredDigest(
  trx: Transaction,
  eventId: string,
): Promise<Buffer | undefined> {
  const row = await trx
    .selectFrom("webhook_events")
    .select("body_sha256")
    .where("event_id", "=", eventId)
    .executeTakeFirst();
  return row?.body_sha256;
}

/** An operator applied the event by hand, whatever its state was, and today's code could not read these fields. */
export async function markReplayed(
  trx: Transaction,
  eventId: string,
  issues: readonly FieldIssue[],
): Promise<void> {
  await trx
    .updateTable("webhook_events")
    .set((eb) => ({
      state: "processed",
      processed_at: sql<Instant>`clock_timestamp()`,
      attempts: eb("attempts", "+", 1),
      last_error: null,
      issues: issuesJson(issues),
      hinted_at: null,
    }))
    .where("event_id", "=", eventId)
    .execute();
}
