import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { CompiledQuery, Kysely, PostgresDialect } from "kysely";
import type { QueryResult } from "kysely";
import pg from "pg";
import type { Tables, TransactionExecutor } from "../../src/store/database.ts";
import { inTransaction } from "../../src/store/transaction.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import type { TestStore } from "../support/store.ts";
import { openStore } from "../support/store.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { waitFor } from "../support/wait-for.ts";

let database: TestDatabase;
let store: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  store = openStore(database.url);
  await store.pool.query("create table notes (text text primary key)");
});

afterAll(async () => {
  await store.close();
  await database.drop();
});

function run(
  trx: TransactionExecutor,
  text: string,
  ...parameters: readonly unknown[]
): Promise<QueryResult<unknown>> {
  return trx.executeQuery(CompiledQuery.raw(text, [...parameters]));
}

const note = (trx: TransactionExecutor, text: unknown) =>
  run(trx, "insert into notes (text) values ($1)", text);

async function notes(): Promise<string[]> {
  const { rows } = await store.pool.query<{ text: string }>(
    "select text from notes order by text",
  );
  return rows.map(({ text }) => text);
}

describe("a transaction", () => {
  test("is committed with all that was done in it", async () => {
    const result = await inTransaction(store.db, async (trx) => {
      await Promise.all([note(trx, "one"), note(trx, "two")]);
      return "done";
    });

    expect(result).toBe("done");
    expect(await notes()).toEqual(["one", "two"]);
  });

  test("sends what is begun together without waiting for an answer, and has it worked on in that order", async () => {
    let sent = "";
    const proxy = await startTcpProxy(database.url, () => ({
      sent: (chunk) => (sent += chunk.toString("latin1")),
    }));
    const through = openStore(proxy.url);
    const holder = new pg.Client({ connectionString: database.url });
    await holder.connect();
    await holder.query("select pg_advisory_lock(1)");

    const reading = inTransaction(through.db, (trx) =>
      Promise.all([
        run(trx, "select pg_advisory_xact_lock($1)", 1),
        run(trx, "select $1 as behind, count(*) from notes", 1),
      ]),
    );
    await waitFor(async () => sent.includes("as behind"), {
      what: "the statement behind the lock",
    });
    await holder.query("insert into notes values ('while it waited')");
    await holder.end();
    const [, counted] = await reading;

    expect(counted.rows).toMatchObject([
      { count: String((await notes()).length) },
    ]);
    await through.close();
    await proxy.close();
  });

  test("is rolled back when a statement fails, and tells of that one and not of those behind it", async () => {
    const before = await notes();

    const failing = inTransaction(store.db, async (trx) => {
      await note(trx, "before the failure");
      const first = run(trx, "select 1 / $1::int", 0);
      const second = run(trx, "select $1", 2);
      // The one behind is heard of first.
      await Promise.all([first.catch(() => second), second]);
    });

    await expect(failing).rejects.toMatchObject({ code: "22012" });
    expect(await notes()).toEqual(before);
  });

  test("is not told as done where its work goes on without a statement that failed", async () => {
    const before = await notes();

    const failing = inTransaction(store.db, async (trx) => {
      await note(trx, "in spite of it");
      await run(trx, "select 1 / $1::int", 0).catch(() => undefined);
      return "done";
    });

    await expect(failing).rejects.toMatchObject({ code: "22012" });
    expect(await notes()).toEqual(before);
  });

  test("is rolled back when a statement cannot be sent, though others were", async () => {
    const before = await notes();
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;

    const failing = inTransaction(store.db, (trx) =>
      Promise.all([note(trx, "beside it"), note(trx, circular)]),
    );

    await expect(failing).rejects.toThrow(/circular/);
    expect(await notes()).toEqual(before);
  });

  test("refuses what still comes when it has failed: that would be committed at once", async () => {
    const before = await notes();
    let late: Promise<unknown> | undefined;
    let hasEnded = (): void => undefined;
    const ended = new Promise<void>((resolve) => (hasEnded = resolve));

    const failing = inTransaction(store.db, async (trx) => {
      late = ended.then(() => note(trx, "late"));
      await run(trx, "select 1 / $1::int", 0);
    });

    await expect(failing).rejects.toMatchObject({ code: "22012" });
    hasEnded();
    await expect(late).rejects.toThrow("the transaction has ended");
    expect(await notes()).toEqual(before);
  });

  test("does nothing behind the first answer where it could not begin", async () => {
    const before = await notes();
    const client = new pg.Client({
      connectionString: database.url,
      pipeline: true,
    });
    await client.connect();
    const withoutBegin = new Kysely<Tables>({
      dialect: new PostgresDialect({
        pool: {
          connect: () =>
            Promise.resolve({
              query: ((text: string, values: unknown[]) =>
                client.query(
                  text.startsWith("begin") ? "begin badly" : text,
                  values,
                )) as never,
              release: () => undefined,
            }),
          end: () => client.end(),
        },
      }),
    });

    const failing = inTransaction(withoutBegin, async (trx) => {
      await run(trx, "select $1", 1);
      await note(trx, "without a transaction");
    });

    await expect(failing).rejects.toMatchObject({ code: "42601" });
    expect(await notes()).toEqual(before);
    await withoutBegin.destroy();
  });
});
