import { sql } from "kysely";
import type { SelectQueryBuilder } from "kysely";
import type { Instant } from "../domain/instant.ts";
import { PROJECTIONS } from "../projections/index.ts";
import type { Projection } from "../projections/projection.ts";
import { hasCard } from "../projections/rows.ts";
import type { Database, EventState, Tables, Transaction } from "./database.ts";
import type { FieldIssue, InboxEntry } from "./inbox.ts";
import { issuesJson } from "./inbox.ts";

/** Which events an operator asks for. What is not given does not restrict. */
export interface EventFilter {
  readonly eventIds?: readonly string[] | undefined;
  readonly state?: EventState | undefined;
  readonly type?: string | undefined;
  readonly cardId?: string | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
}

/** An event of the inbox, for the operator's eye. */
export interface EventSummary {
  readonly eventId: string;
  readonly eventType: string;
  readonly cardId: string | null;
  readonly state: EventState;
  readonly attempts: number;
  readonly signedAt: Instant;
  readonly receivedAt: Instant;
  readonly lastError: string | null;
}

/** Which end of a list comes first, and is kept where the list is cut. */
export type ListOrder = "oldest" | "newest";

const SUMMARY_COLUMNS = [
  "event_id as eventId",
  "event_type as eventType",
  "card_id as cardId",
  "state",
  "attempts",
  "signed_at as signedAt",
  "received_at as receivedAt",
  "last_error as lastError",
] as const;

/** A page of one end, by the time at which they were stored, and by id where that is the same. */
export async function listEvents(
  db: Database,
  filter: EventFilter,
  limit: number,
  order: ListOrder = "oldest",
): Promise<EventSummary[]> {
  const direction = order === "oldest" ? "asc" : "desc";
  const found = matching(db.selectFrom("webhook_events"), filter)
    .select(SUMMARY_COLUMNS)
    .orderBy("received_at", direction)
    .orderBy("event_id", direction)
    .limit(limit);
  if (hasOwnIndex(filter)) return found.execute();
  // By time there is one index of what has a body and one of what has none. The planner finds them when it is told so.
  const withBody = found.where("body", "is not", null).as("with_body");
  const withoutBody = found.where("body", "is", null).as("without_body");
  return db
    .selectFrom(withBody)
    .selectAll()
    .unionAll(db.selectFrom(withoutBody).selectAll())
    .orderBy("receivedAt", direction)
    .orderBy("eventId", direction)
    .limit(limit)
    .execute();
}

/** Of ids, of a card, or of the few that have not been applied. */
function hasOwnIndex({ eventIds, cardId, state }: EventFilter): boolean {
  return (
    eventIds !== undefined ||
    cardId !== undefined ||
    state === "failed" ||
    state === "received"
  );
}

function matching<Selected>(
  query: SelectQueryBuilder<Tables, "webhook_events", Selected>,
  filter: EventFilter,
): SelectQueryBuilder<Tables, "webhook_events", Selected> {
  const { eventIds, state, type, cardId, since, until } = filter;
  let found = query;
  if (eventIds) found = found.where("event_id", "=", anyOf(eventIds));
  if (state) found = found.where("state", "=", state);
  if (type !== undefined) found = found.where("event_type", "=", type);
  if (cardId !== undefined) found = found.where("card_id", "=", cardId);
  if (since) found = found.where("received_at", ">=", timestamp(since));
  if (until) found = found.where("received_at", "<", timestamp(until));
  return found;
}

function anyOf(ids: readonly string[]) {
  return sql<string>`any(${ids}::text[])`;
}

function timestamp(date: Date) {
  return sql<Instant>`${date}::timestamptz`;
}

/** How many events are stored that were not applied, of one card or of all. */
export interface OpenEvents {
  readonly waiting: number;
  readonly failed: number;
}

export async function countOpenEvents(
  db: Database,
  cardId: string | undefined,
  receivedBefore: Date,
): Promise<OpenEvents> {
  const { rows } = await sql<OpenEvents>`
    select count(*) filter (where state = 'received' and received_at < ${receivedBefore})::int as waiting,
           count(*) filter (where state = 'failed')::int as failed
    from webhook_events
    where (state = 'received' or state = 'failed')
      and (${cardId ?? null}::text is null or card_id = ${cardId ?? null})
  `.execute(db);
  return rows[0] ?? { waiting: 0, failed: 0 };
}

/** Whether an event or a row speaks of this card. */
export async function isKnownCard(
  db: Database,
  cardId: string,
): Promise<boolean> {
  const speaking = tablesWithCard(PROJECTIONS).map(
    (table) => sql`exists (select from ${table} where card_id = ${cardId})`,
  );
  const { rows } = await sql<{ is_known: boolean }>`
    select ${sql.join(speaking, sql` or `)} as is_known
  `.execute(db);
  return rows[0]?.is_known === true;
}

/** The tables, the inbox among them, that have a column `card_id`. */
function tablesWithCard(projections: readonly Projection[]) {
  const tables = projections.filter(hasCard).map(({ table }) => table);
  return ["webhook_events", ...tables].map((table) => sql.table(table));
}

/** Every column of an event that users may rely on; undefined when there is none of this id. */
export async function findWholeEvent(
  db: Database,
  eventId: string,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const row = await db
    .selectFrom("webhook_events")
    .selectAll()
    .where("event_id", "=", eventId)
    .executeTakeFirst();
  // When the queue was told of it is no part of the contract.
  return row && { ...row, hinted_at: undefined };
}

/** An event with what is needed to apply it again. */
export interface EventRecord {
  readonly eventId: string;
  readonly eventType: string;
  readonly cardId: string | null;
  readonly state: EventState;
  /** Null for sensitive types and after retention. */
  readonly body: string | null;
  readonly signedAt: Instant;
  readonly receivedAt: Instant;
}

const RECORD_COLUMNS = [
  "event_id as eventId",
  "event_type as eventType",
  "card_id as cardId",
  "state",
  "body",
  "signed_at as signedAt",
  "received_at as receivedAt",
] as const;

function selectRecords(db: Database) {
  return db.selectFrom("webhook_events").select(RECORD_COLUMNS);
}

/** The events of these cards that have been applied. */
export function findAppliedEvents(
  db: Database,
  cardIds: readonly string[],
): Promise<EventRecord[]> {
  return selectRecords(db)
    .where("card_id", "=", anyOf(cardIds))
    .where("state", "=", "processed")
    .execute();
}

/** An event with what was done about it. */
export interface EventWithOutcome extends EventRecord {
  readonly attempts: number;
  readonly lastError: string | null;
  readonly processedAt: Instant | null;
  /** Optional fields that could not be read and count as not stated. */
  readonly issues: readonly FieldIssue[] | null;
}

/** All events about a card that are stored, in whatever state. */
export async function findEventsOfCard(
  db: Database,
  cardId: string,
): Promise<EventWithOutcome[]> {
  const rows = await selectRecords(db)
    .select(["attempts", "last_error as lastError", "issues"])
    .select("processed_at as processedAt")
    .where("card_id", "=", cardId)
    .orderBy("signed_at")
    .execute();
  return rows as EventWithOutcome[];
}

export function findEvents(
  db: Database,
  eventIds: readonly string[],
): Promise<EventRecord[]> {
  return selectRecords(db).where("event_id", "=", anyOf(eventIds)).execute();
}

/** One event, locked until the transaction ends. */
export function lockEvent(
  trx: Transaction,
  eventId: string,
): Promise<EventRecord | undefined> {
  return selectRecords(trx)
    .where("event_id", "=", eventId)
    .forUpdate()
    .executeTakeFirst();
}

/** The ids of cards that events or rows speak of, after this one, in the order of ids. */
export async function pageCardIds(
  db: Database,
  projections: readonly Projection[],
  after: string,
  limit: number,
): Promise<string[]> {
  const pages = tablesWithCard(projections).map(
    (table) =>
      sql`(select distinct card_id from ${table} where card_id > ${after} order by card_id limit ${limit})`,
  );
  const { rows } = await sql<{ card_id: string }>`
    select card_id from (${sql.join(pages, sql` union `)}) known
    order by card_id
    limit ${limit}
  `.execute(db);
  return rows.map((row) => row.card_id);
}

/** An event that comes into the inbox later than it came to the service: out of the quarantine. */
export interface LateEvent extends Omit<InboxEntry, "state" | "body"> {
  readonly body: string | undefined;
  readonly receivedAt: Instant;
  readonly state: EventState;
}

/** @returns false when the id is stored already */
export async function insertLateEvent(
  trx: Transaction,
  event: LateEvent,
): Promise<boolean> {
  const inserted = await trx
    .insertInto("webhook_events")
    .values({
      event_id: event.eventId,
      event_type: event.eventType,
      event_name: event.eventName ?? null,
      version: event.version ?? null,
      source_id: event.sourceId ?? null,
      card_id: event.cardId ?? null,
      body: event.body ?? null,
      body_sha256: event.bodySha256,
      signed_at: event.signedAt,
      received_at: event.receivedAt,
      state: event.state,
      issues: issuesJson(event.issues),
      attempts: event.state === "processed" ? 1 : 0,
      processed_at:
        event.state === "processed" ? sql<Instant>`clock_timestamp()` : null,
    })
    .onConflict((conflict) => conflict.column("event_id").doNothing())
    .returning("event_id")
    .executeTakeFirst();
  return inserted !== undefined;
}
