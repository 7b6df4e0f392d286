import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { sql } from "kysely";
import type { Database } from "../../src/store/database.ts";
import { findAuthorizations } from "../../src/store/authorizations.ts";
import { findCards } from "../../src/store/cards.ts";
import { takeWaitingEvents } from "../../src/store/inbox.ts";
import { inTransaction } from "../../src/store/transaction.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import type { TestStore } from "../support/store.ts";
import { openStore } from "../support/store.ts";

let database: TestDatabase;
let store: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  store = openStore(database.url, { maxConnections: 1, looksUpOnly: true });
});

afterAll(async () => {
  await store.close();
  await database.drop();
});

async function preparedStatements(db: Database): Promise<string[]> {
  const { rows } = await sql<{ statement: string }>`
    select statement from pg_prepared_statements where not from_sql`.execute(
    db,
  );
  return rows.map(({ statement }) => statement);
}

describe("a statement with parameters", () => {
  test("is prepared once on a connection, however often it is executed", async () => {
    for (const id of ["a", "b", "c"]) await findCards(store.db, [id]);

    const prepared = await preparedStatements(store.db);
    expect(prepared.filter((text) => text.includes('"cards"'))).toHaveLength(1);
  });

  test("that looks up cards or authorizations outlives a column that a later release adds", async () => {
    await findCards(store.db, ["a"]);
    await findAuthorizations(store.db, ["a"]);

    await store.pool.query("alter table cards add column later text");
    await store.pool.query("alter table authorizations add column later text");

    expect(await findCards(store.db, ["a"])).toEqual([]);
    expect(await findAuthorizations(store.db, ["a"])).toEqual([]);
  });

  test("of a worker never reads the whole table, though it is so small that PostgreSQL would", async () => {
    await store.pool.query(
      "insert into quarantined_events (reason, body_sha256) values ('invalid_json', '1')",
    );
    await store.pool.query("analyze quarantined_events");
    const free = openStore(database.url);
    const planOf = async (db: Database) => {
      const { rows } = await sql<{ "QUERY PLAN": string }>`
        explain select 1 from quarantined_events where id = any(${["1"]}::bigint[])`.execute(
        db,
      );
      return rows.map((row) => row["QUERY PLAN"]).join("\n");
    };

    const plans = [await planOf(free.db), await planOf(store.db)];
    await free.close();

    expect(plans).toEqual([
      expect.stringContaining("Seq Scan"),
      expect.not.stringContaining("Seq Scan"),
    ]);
  });
});

describe("an update of a worker", () => {
  test("names, of each index that has what it marks, a column: else PostgreSQL looks there for old versions of the row", async () => {
    await inTransaction(store.db, (trx) => takeWaitingEvents(trx, ["a"], true));

    const statements = await preparedStatements(store.db);
    const mark = statements.find((text) => text.includes("webhook_events"));
    const [set = ""] = mark?.split(" where ") ?? [];
    const marked = [...set.matchAll(/"(\w+)" = /g)].map(([, name]) => name);
    const { rows } = await store.pool.query<{ columns: string[] }>(`
      select array_agg(attname::text) as columns
      from pg_index
      join pg_class as index on index.oid = indexrelid
      join pg_am as method on method.oid = index.relam and method.amname = 'btree'
      join pg_attribute on attrelid = indrelid and attnum = any (indkey)
      where indrelid = 'webhook_events'::regclass
        and coalesce(pg_get_expr(indpred, indrelid), '') not like '%state%'
      group by indexrelid`);
    expect(rows).toHaveLength(4);
    for (const { columns } of rows)
      expect(columns.filter((name) => marked.includes(name))).not.toEqual([]);
  });
});
