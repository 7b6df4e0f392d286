import { sql } from "kysely";
import type { Selectable } from "kysely";
import type { Instant } from "../domain/instant.ts";
import type {
  Database,
  QuarantineReason,
  QuarantinedEventsTable,
  Transaction,
} from "./database.ts";
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
  "event_id",
  "event_type",
  "card_id",
  "issues",
  "body",
  "body_sha256",
  "signed_at",
  "received_at",
  "last_received_at",
  "deliveries",
  "resolution",
] as const;

export async function listQuarantine(
  db: Database,
  filter: QuarantineFilter,
  limit: number,
  order: ListOrder = "oldest",
): Promise<QuarantineRecord[]> {
  const { ids, eventIds, reason, type, cardId, since, until } = filter;
  const rows = await db
    .selectFrom("quarantined_events")
    .select(QUARANTINE_COLUMNS)
    .$if(ids !== undefined, (q) =>
      q.where("id", "=", sql<string>`any(${ids ?? []}::bigint[])`),
    )
    .$if(eventIds !== undefined, (q) =>
      q.where("event_id", "=", sql<string>`any(${eventIds ?? []}::text[])`),
    )
    .$if(reason !== undefined, (q) =>
      q.where("reason", "=", reason ?? "invalid_json"),
    )
    .$if(type !== undefined, (q) => q.where("event_type", "=", type ?? ""))
    .$if(cardId !== undefined, (q) => q.where("card_id", "=", cardId ?? ""))
    .$if(since !== undefined, (q) =>
      q.where("received_at", ">=", sql<Instant>`${since}::timestamptz`),
    )
    .$if(until !== undefined, (q) =>
      q.where("received_at", "<", sql<Instant>`${until}::timestamptz`),
    )
    .$if(filter.withResolved !== true, (q) =>
      q.where("resolved_at", "is", null),
    )
    .orderBy("id", order === "oldest" ? "asc" : "desc")
    .limit(limit)
    .execute();
  return rows.map(toQuarantineRecord);
}

/** One quarantined delivery, locked until the transaction ends. */
export async function lockQuarantined(
  trx: Transaction,
  id: string,
): Promise<QuarantineRecord | undefined> {
  const row = await trx
    .selectFrom("quarantined_events")
    .select(QUARANTINE_COLUMNS)
    .where("id", "=", id)
    .forUpdate()
    .executeTakeFirst();
  return row && toQuarantineRecord(row);
}

/** When the earliest delivery of this content in the quarantine was signed, for whatever reason it is there. */
export async function findQuarantinedTime(
  db: Database,
  bodySha256: Buffer,
): Promise<Instant | undefined> {
  const row = await db
    .selectFrom("quarantined_events")
    .select((eb) => eb.fn.min<Instant | null>("signed_at").as("signed_at"))
    .where("body_sha256", "=", bodySha256)
    .executeTakeFirst();
  return row?.signed_at ?? undefined;
}

export async function resolveQuarantined(
  db: Database,
  ids: readonly string[],
  resolution: string,
): Promise<number> {
  const result = await db
    .updateTable("quarantined_events")
    .set({ resolved_at: sql<Instant>`clock_timestamp()`, resolution })
    .where("id", "=", sql<string>`any(${ids}::bigint[])`)
    .where("resolved_at", "is", null)
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

function toQuarantineRecord(
  row: Selectable<
    Pick<QuarantinedEventsTable, (typeof QUARANTINE_COLUMNS)[number]>
  >,
): QuarantineRecord {
  return {
    id: row.id,
    reason: row.reason,
    eventId: row.event_id,
    eventType: row.event_type,
    cardId: row.card_id,
    issues: row.issues as QuarantineRecord["issues"],
    body: row.body,
    bodySha256: row.body_sha256,
    signedAt: row.signed_at,
    receivedAt: row.received_at,
    lastReceivedAt: row.last_received_at,
    deliveries: row.deliveries,
    resolution: row.resolution,
  };
}
