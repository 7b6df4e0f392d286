import { sql } from "kysely";
import type { Instant } from "../domain/instant.ts";
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

/** Keeps deliveries that could not be taken in; one that is kept already is only counted. */
export async function quarantine(
  db: Database,
  entries: readonly QuarantineEntry[],
): Promise<void> {
  const rows = [...countByKey(entries).values()];
  await db
    .insertInto("quarantined_events")
    .values(
      rows.map(({ entry, deliveries }) => ({
        reason: entry.reason,
        event_id: entry.eventId ?? null,
        event_type: entry.eventType ?? null,
        card_id: entry.cardId ?? null,
        issues:
          entry.issues === undefined ? null : JSON.stringify(entry.issues),
        body: entry.body ?? null,
        body_sha256: entry.bodySha256,
        signed_at: entry.signedAt ?? null,
        deliveries,
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(["body_sha256", "reason"]).doUpdateSet({
        deliveries: sql`quarantined_events.deliveries + excluded.deliveries`,
        last_received_at: sql<Instant>`excluded.last_received_at`,
      }),
    )
    .execute();
}

interface Counted {
  readonly entry: QuarantineEntry;
  deliveries: number;
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
    if (known) known.deliveries++;
    else counted.set(key, { entry, deliveries: 1 });
  }
  return new Map([...counted].toSorted(([a], [b]) => (a < b ? -1 : 1)));
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
