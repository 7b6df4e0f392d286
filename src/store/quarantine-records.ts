import { sql } from "kysely";
import type { Instant } from "../domain/instant.ts";
import type { Database, QuarantineReason, Transaction } from "./database.ts";
import type { ListOrder } from "./event-records.ts";

/** Which quarantined deliveries an operator asks for. */
export interface QuarantineFilter {
  readonly ids?: readonly string[] | undefined;
  readonly eventIds?: readonly string[] | undefined;
  readonly reason?: QuarantineReason | undefined;
  readonly type?: string | undefined;
  readonly cardId?: string | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  /** Also those that were dealt with. */
  readonly withResolved?: boolean | undefined;
}

export interface QuarantineRecord {
  readonly id: string;
  readonly reason: QuarantineReason;
  readonly eventId: string | null;
  readonly eventType: string | null;
  readonly cardId: string | null;
  readonly issues:
    readonly { readonly path: string; readonly message: string }[] | null;
  readonly body: Buffer | null;
  readonly bodySha256: Buffer;
  readonly signedAt: Instant | null;
  readonly receivedAt: Instant;
  readonly lastReceivedAt: Instant;
  readonly deliveries: number;
  readonly resolution: string | null;
}

const QUARANTINE_COLUMNS = [
  "id",
  "reason",
  "event_id as eventId",
  "event_type as eventType",
  "card_id as cardId",
  "issues",
  "body",
  "body_sha256 as bodySha256",
  "signed_at as signedAt",
  "received_at as receivedAt",
  "last_received_at as lastReceivedAt",
  "deliveries",
  "resolution",
] as const;

function selectRecords(db: Database) {
  return db.selectFrom("quarantined_events").select(QUARANTINE_COLUMNS);
}

export async function listQuarantine(
  db: Database,
  filter: QuarantineFilter,
  limit: number,
  order: ListOrder = "oldest",
): Promise<QuarantineRecord[]> {
  const { ids, eventIds, reason, type, cardId, since, until } = filter;
  let found = selectRecords(db)
    .orderBy("id", order === "oldest" ? "asc" : "desc")
    .limit(limit);
  if (ids) found = found.where("id", "=", anyId(ids));
  if (eventIds)
    found = found.where("event_id", "=", sql<string>`any(${eventIds}::text[])`);
  if (reason) found = found.where("reason", "=", reason);
  if (type !== undefined) found = found.where("event_type", "=", type);
  if (cardId !== undefined) found = found.where("card_id", "=", cardId);
  if (since) found = found.where("received_at", ">=", timestamp(since));
  if (until) found = found.where("received_at", "<", timestamp(until));
  if (filter.withResolved !== true)
    found = found.where("resolved_at", "is", null);
  return (await found.execute()) as QuarantineRecord[];
}

function anyId(ids: readonly string[]) {
  return sql<string>`any(${ids}::bigint[])`;
}

function timestamp(date: Date) {
  return sql<Instant>`${date}::timestamptz`;
}

/** One quarantined delivery, locked until the transaction ends. */
export async function lockQuarantined(
  trx: Transaction,
  id: string,
): Promise<QuarantineRecord | undefined> {
  const row = await selectRecords(trx)
    .where("id", "=", id)
    .forUpdate()
    .executeTakeFirst();
  return row as QuarantineRecord | undefined;
}

export async function resolveQuarantined(
  db: Database,
  ids: readonly string[],
  resolution: string,
): Promise<number> {
  const result = await db
    .updateTable("quarantined_events")
    .set({ resolved_at: sql<Instant>`clock_timestamp()`, resolution })
    .where("id", "=", anyId(ids))
    .where("resolved_at", "is", null)
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}
