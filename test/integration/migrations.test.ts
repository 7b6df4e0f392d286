import { readFile, readdir } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { findPendingMigrations, migrate } from "../../db/migrate.ts";
import { createLogger } from "../../src/process/logger.ts";
import { prepareDatabase } from "../../src/roles/prepare-database.ts";
import type { Database } from "../../src/store/database.ts";
import { PROJECTIONS } from "../../src/projections/index.ts";
import type { TestDatabase } from "../support/database.ts";
import {
  createEmptyDatabase,
  createTestDatabase,
} from "../support/database.ts";
import type { Reader } from "../support/service.ts";
import { openReader } from "../support/service.ts";
import { openStore } from "../support/store.ts";

const silent = createLogger("silent");

const MIGRATIONS = new URL("../../db/migrations/", import.meta.url);

const openDatabase = (url: string): Database => openStore(url).db;

describe("migrations of an empty database", () => {
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

  const tables = async () => {
    const rows = await reader.rows(
      "select table_name from information_schema.tables where table_schema = 'public' order by 1",
    );
    return rows.map((row) => row["table_name"]);
  };

  const allTables = [
    "api_budget",
    "authorizations",
    "card_orders",
    "cardholders",
    "cards",
    "earlier_copies",
    "events_without_card",
    "mcc_declines",
    "quarantined_events",
    "transaction_cards",
    "transactions",
    "webhook_events",
  ];

  test("eight instances at once apply each migration once", async () => {
    const instances = Array.from({ length: 8 }, () =>
      openDatabase(database.url),
    );

    const applied = await Promise.all(instances.map((db) => migrate(db)));
    await Promise.all(instances.map((db) => db.destroy()));

    expect(applied.filter((names) => names.length > 0)).toHaveLength(1);
    expect(await tables()).toEqual(allTables);
  });

  test("eight instances at once prepare the whole database, its queue too", async () => {
    const connection = { kind: "postgres", url: database.url } as const;

    await Promise.all(
      Array.from({ length: 8 }, () =>
        prepareDatabase(database.url, connection, silent),
      ),
    );

    expect(await tables()).toEqual(allTables);
    const [queue] = await reader.rows(
      "select count(*) > 0 as exists from information_schema.tables where table_schema = 'bullmq'",
    );
    expect(queue).toEqual({ exists: true });
  });

  test("a second run does nothing", async () => {
    const db = openDatabase(database.url);
    await migrate(db);

    const applied = await migrate(db);
    const pending = await findPendingMigrations(db);
    await db.destroy();

    expect(applied).toEqual([]);
    expect(pending).toEqual([]);
  });

  test("the fifth one marks the stored cards that are contradicted, and leaves their modes", async () => {
    const names = (await readdir(MIGRATIONS)).toSorted();
    const run = async (name: string) =>
      reader.rows(await readFile(new URL(name, MIGRATIONS), "utf8"));
    for (const name of names.filter((one) => one < "0005")) await run(name);
    await reader.rows(`
      insert into cards (card_id, card_status, status_changed_at, observed_status, observed_status_at, allowed_mcc,
        blocked_mcc, first_seen_at, last_event_id, last_event_at, field_clocks)
      select id, status, at::timestamptz, seen, seen_at::timestamptz, allowed::text[], blocked::text[], now(), '', now(), '{}'
      from (values
        ('contradicted', 'FROZEN', '2026-04-12', 'ACTIVE', '2026-04-13', '{5999}', '{}'),
        ('confirmed', 'FROZEN', '2026-04-12', 'FROZEN', '2026-04-13', '{}', '{5999}'),
        ('seen before', 'FROZEN', '2026-04-12', 'ACTIVE', '2026-04-11', '{}', '{}'),
        ('never seen', 'FROZEN', '2026-04-12', null, null, null, null)
      ) as card (id, status, at, seen, seen_at, allowed, blocked)`);

    for (const name of names.filter((one) => one >= "0005")) await run(name);

    const cards = await reader.rows(
      "select card_id, status_contradicted, mcc_mode from cards order by card_id",
    );
    expect(cards).toEqual([
      { card_id: "confirmed", status_contradicted: false, mcc_mode: "block" },
      { card_id: "contradicted", status_contradicted: true, mcc_mode: "allow" },
      { card_id: "never seen", status_contradicted: false, mcc_mode: null },
      { card_id: "seen before", status_contradicted: false, mcc_mode: "none" },
    ]);
  });

  test("a migration that fails rejects and leaves nothing behind", async () => {
    await reader.rows("create table cards (somebody_elses text)");
    const db = openDatabase(database.url);

    const migrated = migrate(db);

    await expect(migrated).rejects.toThrow('relation "cards" already exists');
    expect(await tables()).toEqual(["cards"]);
    expect(await findPendingMigrations(db)).not.toEqual([]);
    await db.destroy();
  });
});

describe("the schema", () => {
  let database: TestDatabase;
  let reader: Reader;

  beforeEach(async () => {
    database = await createTestDatabase();
    reader = openReader(database.url);
  });

  afterEach(async () => {
    await reader.close();
    await database.drop();
  });

  test.each(PROJECTIONS.map(({ table, columns }) => ({ table, columns })))(
    "$table has the columns that its projection declares",
    async ({ table, columns }) => {
      const rows = await reader.rows(
        `select attname as name, format_type(atttypid, atttypmod) as type
         from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped`,
        [table],
      );

      const declared = Object.entries(columns).map(([name, { type }]) => [
        name,
        type === "timestamptz" ? "timestamp with time zone" : type,
      ]);
      expect(
        Object.fromEntries(rows.map((row) => [row["name"], row["type"]])),
      ).toEqual({
        ...Object.fromEntries(declared),
        field_clocks: "jsonb",
        updated_at: "timestamp with time zone",
      });
    },
  );

  test("every table, view and column carries a comment", async () => {
    const silentOnes = await reader.rows(`
      select c.relname as name, null as column
      from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
        and obj_description(c.oid, 'pg_class') is null
      union all
      select c.relname, a.attname
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
        and col_description(c.oid, a.attnum) is null`);

    expect(silentOnes).toEqual([]);
  });

  test.each([
    ["select * from cards where card_status = 'ACTIVE'", "cards"],
    ["select * from cards where cardholder_id = 'x'", "cards"],
    ["select * from cards where status_contradicted", "cards_contradicted"],
    [
      "select * from authorizations where card_id = 'x' order by transaction_time desc limit 10",
      "transactions_by_card",
    ],
    [
      "select * from transactions where transaction_time > now() - interval '1 day'",
      "transactions_by_time",
    ],
    [
      "select * from authorizations where mcc_declined order by received_at desc limit 10",
      "transactions_mcc_declined",
    ],
    [
      "select * from mcc_declines order by received_at desc limit 10",
      "transactions_mcc_declined",
    ],
    [
      "select * from transactions where original_transaction_id = 'x'",
      "transactions_by_original",
    ],
    [
      "select refunded_amount from authorizations where card_id = 'x'",
      "transactions_of_original",
    ],
    [
      "select * from webhook_events where state = 'received' order by coalesce(hinted_at, received_at) limit 200",
      "webhook_events_waiting",
    ],
    [
      "select * from webhook_events where state = 'failed' order by received_at",
      "webhook_events_failed",
    ],
    [
      "select * from webhook_events where card_id = 'x' order by signed_at",
      "webhook_events_card",
    ],
    [
      "select * from quarantined_events where resolved_at is null order by received_at",
      "quarantined_events_open",
    ],
  ])("%s is answered by an index", async (query, index) => {
    const plan = await explain(query);

    expect(plan).toMatch(
      new RegExp(`Index (Only )?Scan.* ${index}|Bitmap Index Scan on ${index}`),
    );
    expect(plan).not.toMatch(/Seq Scan on (?!cards c)/);
  });

  test("a transaction's MCC is four digits or NULL", async () => {
    const accepted: (string | null)[] = [];
    for (const mcc of ["5999", "599", "59999", "59a9", "", "٥٩٩٩", null])
      await reader
        .rows(
          `insert into transactions (transaction_id, kind, event_id, card_id, transaction_status, mcc, mcc_declined,
             received_at, field_clocks)
           values (gen_random_uuid()::text, 'refund', 'a', 'a', 'APPROVED', $1, false, now(), '{}')`,
          [mcc],
        )
        .then(
          () => accepted.push(mcc),
          (error: unknown) => {
            expect(String(error)).toContain("mcc_is_four_digits");
          },
        );

    expect(accepted).toEqual(["5999", null]);
  });

  /** What an index has taken for each of so many entries that came one after the other. */
  async function bytesAnEntry(index: string, count: number): Promise<number> {
    const [row] = await reader.rows(
      `select pg_relation_size('${index}')::int as bytes`,
    );
    return Number(row?.["bytes"]) / count;
  }

  test("the index of a card's events keeps equal entries as one", async () => {
    await reader.rows(
      `insert into webhook_events (event_id, event_type, card_id, body_sha256, signed_at, state)
       select gen_random_uuid(), 'x', 'the id of card ' || n % 10, '', now() + n * interval '1 s', 'processed'
       from generate_series(1, 10000) n`,
    );

    expect(await bytesAnEntry("webhook_events_card", 10_000)).toBeLessThan(20);
  });

  test("the index of transactions by time has full pages, since the next one comes at its end", async () => {
    await reader.rows(
      `insert into transactions (transaction_id, kind, event_id, card_id, transaction_status, mcc_declined, received_at,
         transaction_time, field_clocks)
       select n, 'authorization', n, n, 'APPROVED', false, now(), now() + n * interval '1 s', '{}' from generate_series(1, 10000) n`,
    );

    expect(await bytesAnEntry("transactions_by_time", 10_000)).toBeLessThan(30);
  });

  async function explain(query: string): Promise<string> {
    const planner = openReader(
      database.url,
      "-c enable_seqscan=off -c enable_sort=off",
    );
    try {
      const rows = await planner.rows(`explain ${query}`);
      return rows.map((row) => String(row["QUERY PLAN"])).join("\n");
    } finally {
      await planner.close();
    }
  }
});
