import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { sql } from "kysely";
import type { Database } from "../../src/store/database.ts";
import { PROJECTIONS } from "../../src/projections/index.ts";
import { selectRows } from "../../src/store/projection-rows.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import type { TestStore } from "../support/store.ts";
import { openStore } from "../support/store.ts";

let database: TestDatabase;
let store: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  store = openStore(database.url, { maxConnections: 1, isWorkerSession: true });
});

afterAll(async () => {
  await store.close();
  await database.drop();
});

test("a statement that begins with its name is prepared under it, once on a connection", async () => {
  for (const id of ["a", "b", "c"])
    await sql`/* find-by-name */ select 1 where ${id}::text is not null`.execute(
      store.db,
    );
  await sql`select 2 where ${"a"}::text is not null`.execute(store.db);

  const { rows } = await sql`
    select name, generic_plans + custom_plans as executions
    from pg_prepared_statements
    where name = 'find-by-name' or statement like 'select 2%'`.execute(
    store.db,
  );

  expect(rows).toEqual([{ name: "find-by-name", executions: "3" }]);
});

test("a statement that looks up rows outlives a column that a later release adds", async () => {
  const select = () =>
    Promise.all(
      PROJECTIONS.map((projection) =>
        selectRows(store.db, projection, [["a"]]),
      ),
    );
  await select();

  for (const { table } of PROJECTIONS)
    await store.pool.query(`alter table ${table} add column later text`);

  expect(await select()).toEqual(PROJECTIONS.map(() => []));
});

test("a statement of a worker never reads the whole table, though it is so small that PostgreSQL would", async () => {
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
