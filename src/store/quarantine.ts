import { sql } from "kysely";
import type { Instant } from "../domain/instant.ts";
import { earliestKnown } from "../domain/instant.ts";
import type { Database, QuarantineReason } from "./database.ts";

export interface QuarantineEntry {
  readonly reason: QuarantineReason;
  readonly eventId: string | undefined;
  readonly eventType: string | undefined;
  readonly cardId: string | undefined;
  readonly issues:
    readonly { readonly path: string; readonly message: string }[] | undefined;
  /** The exact bytes that were signed; undefined where they must not be kept. */
  readonly body: Buffer | undefined;
  readonly bodySha256: Buffer;
  readonly signedAt: Instant | undefined;
}

/** An entry that is kept. */
export interface Quarantined {
  readonly id: string;
  readonly entry: QuarantineEntry;
  /** How often it was delivered. */
  readonly deliveries: number;
}

/** Keeps deliveries that could not be taken in. Of one that is kept already it counts how often it came, and keeps the earliest signed time. */
export async function quarantine(
  db: Database,
  entries: readonly QuarantineEntry[],
): Promise<Quarantined[]> {
  const rows = [...countByKey(entries).values()];
  const kept = await db
    .insertInto("quarantined_events")
    .values(
      rows.map(({ entry, deliveries, signedAt }) => ({
        reason: entry.reason,
        event_id: entry.eventId ?? null,
        event_type: entry.eventType ?? null,
        card_id: entry.cardId ?? null,
        issues:
          entry.issues === undefined ? null : JSON.stringify(entry.issues),
        body: entry.body ?? null,
        body_sha256: entry.bodySha256,
        signed_at: signedAt ?? null,
        deliveries,
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(["body_sha256", "reason"]).doUpdateSet({
        deliveries: sql`quarantined_events.deliveries + excluded.deliveries`,
        last_received_at: sql<Instant>`excluded.last_received_at`,
        // It passes over NULL.
        signed_at: sql`least(quarantined_events.signed_at, excluded.signed_at)`,
      }),
    )
    .returning(["id", "reason", "body_sha256", "deliveries"])
    .execute();
  return kept.flatMap(({ id, reason, body_sha256, deliveries }) =>
    rows
      .filter(
        ({ entry }) =>
          entry.reason === reason && entry.bodySha256.equals(body_sha256),
      )
      .map(({ entry }) => ({ id, entry, deliveries })),
  );
}

interface Counted {
  readonly entry: QuarantineEntry;
  deliveries: number;
  signedAt: Instant | undefined;
}

/**
 * One statement cannot touch one row twice, so equal deliveries are counted first. In the order of the key:
 * two instances that write the same rows in two orders would deadlock.
 */
function countByKey(
  entries: readonly QuarantineEntry[],
): ReadonlyMap<string, Counted> {
  const counted = new Map<string, Counted>();
  for (const entry of entries) {
    const key = `${entry.bodySha256.toString("hex")} ${entry.reason}`;
    const known = counted.get(key);
    const { signedAt } = entry;
    if (known === undefined)
      counted.set(key, { entry, deliveries: 1, signedAt });
    else {
      known.deliveries++;
      known.signedAt = earliestKnown(known.signedAt, signedAt);
    }
  }
  return new Map([...counted].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** When the earliest delivery of each of these contents in the quarantine was signed, by the digest in hex. */
export async function findQuarantinedTimes(
  db: Database,
  contents: readonly { readonly bodySha256: Buffer }[],
): Promise<ReadonlyMap<string, Instant>> {
  if (contents.length === 0) return new Map();
  const digests = contents.map(({ bodySha256 }) => bodySha256);
  // One by one: of many PostgreSQL might read the whole table instead.
  const { rows } = await sql<{
    body_sha256: Buffer;
    signed_at: Instant;
  }>`/* find-quarantined-times */
    select body_sha256, signed_at
    from (
      select body_sha256, (
        select min(signed_at) from quarantined_events kept where kept.body_sha256 = content.body_sha256
      ) as signed_at
      from unnest(${digests}::bytea[]) as content (body_sha256)
    ) times
    where signed_at is not null`.execute(db);
  return new Map(
    rows.map((row) => [row.body_sha256.toString("hex"), row.signed_at]),
  );
}

/** How many open entries there are for each reason. */
export async function countOpenQuarantine(
  db: Database,
): Promise<ReadonlyMap<QuarantineReason, number>> {
  const rows = await db
    .selectFrom("quarantined_events")
    .select(["reason", (eb) => eb.fn.countAll<string>().as("count")])
    .where("resolved_at", "is", null)
    .groupBy("reason")
    .execute();
  return new Map(rows.map((row) => [row.reason, Number(row.count)]));
}
