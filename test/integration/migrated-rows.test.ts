import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { RecomputeProgress } from "../../src/operate/recompute.ts";
import {
  rebuildProjections,
  verifyProjections,
} from "../../src/operate/recompute.ts";
import { replayEvent } from "../../src/operate/replay.ts";
import type { ColumnChange } from "../../src/operate/row-changes.ts";
import type { TestDatabase } from "../support/database.ts";
import { createEmptyDatabase } from "../support/database.ts";
import { migrateUntil } from "../support/migrations.ts";
import type { Reader } from "../support/service.ts";
import { openReader } from "../support/service.ts";
import { openStore } from "../support/store.ts";

/** Columns that came later, and what is dated otherwise since: a balance by when UQPAY booked it. */
const NEWS = [
  "account_id",
  "available_balance",
  "balance_as_of",
  "card_available_balance",
  "fee_pass_through",
  "field_clocks",
  "short_transaction_id",
];

describe("what a migration makes of the rows that are there", () => {
  let database: TestDatabase;
  let reader: Reader;

  beforeEach(async () => {
    database = await createEmptyDatabase();
    reader = openReader(database.url);
  });

  afterEach(async () => {
    await reader.close();
    await database.drop();
  });

  test("a quarantined delivery gets its card where its body names one, and came last when it came first", async () => {
    const { finish } = await migrateUntil(reader, "quarantine_by_card");
    const bodies: Readonly<Record<string, string | Buffer>> = {
      "card-1": '{"event_id":"e","data":{"card_id":"card-1"}}',
      "card-3": '{"data":{"card_id":"card-2","card_id":"card-3"}}',
      "no card": '{"data":{}}',
      "a number": '{"data":{"card_id":7}}',
      "an empty text": '{"data":{"card_id":""}}',
      "too long": `{"data":{"card_id":"${"x".repeat(256)}"}}`,
      "a NUL": '{"data":{"card_id":"a\\u0000"}}',
      "no data": "[]",
      "too deep": `{"data":${"[".repeat(100_000)}${"]".repeat(100_000)}}`,
      "other bytes": Buffer.from([0xff, 0x00]),
    };
    for (const [name, body] of Object.entries(bodies))
      await reader.rows(
        `insert into quarantined_events (reason, event_id, body, body_sha256, received_at)
         values ('stale_timestamp', $1, $2, $3, '2026-04-12T10:00:00Z')`,
        [name, Buffer.from(body), createHash("sha256").update(name).digest()],
      );

    await finish();

    const rows = await reader.rows(
      "select event_id, card_id, last_received_at = received_at as came_once from quarantined_events",
    );
    expect(rows).toHaveLength(Object.keys(bodies).length);
    for (const row of rows) {
      const name = String(row["event_id"]);
      expect(row).toEqual({
        event_id: name,
        card_id: name.startsWith("card-") ? name : null,
        came_once: true,
      });
    }
  });

  test("a stored card number is masked where it is in the clear, and a mask stays as it is", async () => {
    const { finish } = await migrateUntil(reader, "quarantine_by_card");
    const numbers: readonly (readonly [
      string | null,
      string | null,
      unknown,
    ])[] = [
      ["4096360812348664", null, "409636******8664"],
      ["4096360812348664", "40963608", "40963608****8664"],
      ["4096360812348664", "51112222", "409636******8664"],
      ["4096 3608 1234 8664", "40963608", "40963608****8664"],
      ["4096-3608-1234-8664", "409636", "409636******8664"],
      ["378282246310005", "37828224", "378282*****0005"],
      ["409636081234", null, "409636**1234"],
      ["4096360812348664123", null, "409636*********4123"],
      ["46119903****1244", "46119903", "46119903****1244"],
      ["************5668", null, "************5668"],
      ["8664", null, "8664"],
      ["unknown", null, "unknown"],
      [null, null, null],
    ];
    for (const [index, [number, bin]] of numbers.entries())
      await reader.rows(
        `insert into cards (card_id, card_number, card_bin, first_seen_at, last_event_id, last_event_at, field_clocks)
         values ($1, $2, $3, now(), '', now(), '[]')`,
        [String(index), number, bin],
      );

    await finish();

    const rows = await reader.rows(
      "select card_number from cards order by card_id::int",
    );
    expect(rows.map((row) => row["card_number"])).toEqual(
      numbers.map(([, , masked]) => masked),
    );
  });

  test("a database of version 0.1 loses nothing, and rebuild brings its rows to what its events imply", async () => {
    const { finish } = await migrateUntil(reader, "quarantine_by_card");
    const kept = await restoreVersion01(reader);

    await finish();

    for (const [table, columns, rows] of kept)
      expect(await readAll(reader, table, columns)).toEqual(rows);
    const store = openStore(database.url);
    const rebuilt = await all(rebuildProjections(store.db));
    const differences = await all(verifyProjections(store.db));
    await store.close();
    expect(rebuilt.cards).toBeGreaterThan(90);
    // Tables and columns that came later are filled by it.
    const old = rebuilt.changes.filter(({ table }) => table !== "card_orders");
    expect(NEWS).toEqual(
      expect.arrayContaining(old.map(({ column }) => column)),
    );
    expect(differences.changes).toEqual([]);
  });

  test("what a database of version 0.1 ignored takes effect when it is replayed, and what was personal of it is gone", async () => {
    const { finish } = await migrateUntil(reader, "quarantine_by_card");
    await restoreVersion01(reader);
    await finish();
    const store = openStore(database.url);
    await all(rebuildProjections(store.db));
    const ignored = await reader.rows(
      "select event_id, event_type from webhook_events where state = 'ignored'",
    );

    const ends = new Map<string, Set<string>>();
    for (const { event_id: id, event_type: type } of ignored) {
      const { kind } = await replayEvent(store.db, String(id), false);
      const name = String(type);
      ends.set(name, new Set([...(ends.get(name) ?? []), kind]));
    }

    const applied = [...ends]
      .filter(([, kinds]) => kinds.has("applied"))
      .map(([type]) => type);
    expect(applied).toEqual(
      expect.arrayContaining([
        "card.PIN.retry.exceed.soft.block",
        "card.recharge.succeeded",
        "cardholder.kyc.status_changed",
      ]),
    );
    // The others have no handler, or their bodies had been dropped.
    expect(["applied", "ignored", "no-body"]).toEqual(
      expect.arrayContaining([...ends.values()].flatMap((all) => [...all])),
    );
    const [row] = await reader.rows(`
      select (select count(*)::int from cards where pin_blocked_at is not null) as blocked,
             (select count(*)::int from card_orders where order_type = 'recharge') as recharged,
             (select count(*)::int from cardholders) as cardholders,
             (select count(*)::int from webhook_events where event_type like 'cardholder%' and body is not null) as personal`);
    expect(row).toEqual({
      blocked: 1,
      recharged: 1,
      cardholders: 1,
      personal: 0,
    });
    const { changes } = await all(verifyProjections(store.db));
    await store.close();
    expect(changes).toEqual([]);
  });
});

async function all(progress: AsyncGenerator<RecomputeProgress>) {
  const changes: ColumnChange[] = [];
  let cards = 0;
  for await (const page of progress) {
    cards += page.cardCount;
    changes.push(...page.changes);
  }
  return { cards, changes };
}

/**
 * Fills the tables of version 0.1 with what its service made of 170 deliveries: duplicates, two cards with one
 * transaction, bodies that retention has dropped, an event that failed, and clocks as each of its builds wrote them.
 *
 * @returns each table's columns and rows
 */
async function restoreVersion01(reader: Reader) {
  const file = new URL("../fixtures/databases/0.1.0.json", import.meta.url);
  const tables = JSON.parse(await readFile(file, "utf8")) as Readonly<
    Record<string, readonly object[]>
  >;
  const kept: [table: string, columns: string, rows: unknown[]][] = [];
  for (const [table, rows] of Object.entries(tables)) {
    await reader.rows(
      `insert into ${table} overriding system value
       select * from jsonb_populate_recordset(null::${table}, $1)`,
      [JSON.stringify(rows)],
    );
    // What migrations may rewrite is not compared.
    const columns = Object.keys(rows[0] ?? {})
      .filter((name) => name !== "field_clocks")
      .join();
    kept.push([table, columns, await readAll(reader, table, columns)]);
  }
  return kept;
}

function readAll(reader: Reader, table: string, columns: string) {
  return reader.rows(`select ${columns} from ${table} order by 1`);
}
