import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  test,
} from "@jest/globals";
import { CompiledQuery } from "kysely";
import { setTimeout as sleep } from "node:timers/promises";
import { inTransaction } from "../../src/store/transaction.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { openStore } from "../support/store.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

const LIMIT_MS = 400;

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await database.drop();
});

const opened: (() => unknown)[] = [];

afterEach(async () => {
  // What was opened last ends first: a store goes through its proxy.
  for (const close of opened.splice(0).toReversed()) await close();
});

function open(url = database.url) {
  const store = openStore(url, {
    maxConnections: 1,
    queryTimeoutMs: LIMIT_MS,
  });
  opened.push(store.close);
  return store;
}

/** Hands everything on, until the service sends this text: from then on the database is not heard any more. */
async function openSilencer(text: string): Promise<string> {
  const proxy = await startTcpProxy(database.url, () => {
    let isSilent = false;
    return {
      sent: (chunk) => {
        isSilent ||= chunk.includes(text);
      },
      answered: (chunk, client) => {
        if (!isSilent) client.write(chunk);
      },
    };
  });
  opened.push(proxy.close);
  return proxy.url;
}

describe("a database that hangs", () => {
  test("whoever waits for a silent answer is told after the limit, and the next query has another connection", async () => {
    const store = open();

    const startedAt = performance.now();
    const slow = store.pool.query("select pg_sleep(3)");
    await expect(slow).rejects.toThrow("Query read timeout");
    const waitedMs = performance.now() - startedAt;
    const { rows } = await store.pool.query("select 1 as one");

    expect(waitedMs).toBeGreaterThan(LIMIT_MS * 0.9);
    expect(waitedMs).toBeLessThan(2_500);
    expect(rows).toEqual([{ one: 1 }]);
  });

  test("a transaction that was cut fails with that, and leaves nothing", async () => {
    const store = open();

    const cut = inTransaction(store.db, async (trx) => {
      await Promise.all(
        ["create table left_behind ()", "select pg_sleep(3)"].map((text) =>
          trx.executeQuery(CompiledQuery.raw(text)),
        ),
      );
    });
    await expect(cut).rejects.toThrow("Query read timeout");
    const { rows } = await store.pool.query(
      "select to_regclass('left_behind') as name",
    );

    expect(rows).toEqual([{ name: null }]);
  });

  test("one that is not heard any more is noticed, also before the first query", async () => {
    for (const text of ["select 'silence'", "set_config"]) {
      const store = open(await openSilencer(text));

      const query = store.pool.query("select 'silence'");

      await expect(query).rejects.toThrow("Query read timeout");
    }
  });
});

describe("a database that answers", () => {
  test("statements that wait for their turn on a connection have the limit each", async () => {
    const store = open();
    const texts = Array.from({ length: 4 }, () => "select pg_sleep(0.15)");

    const together = inTransaction(store.db, async (trx) => {
      await Promise.all(
        texts.map((text) => trx.executeQuery(CompiledQuery.raw(text))),
      );
      return "committed";
    });

    await expect(together).resolves.toBe("committed");
  });

  test("a connection that nobody uses stays, for longer than the limit", async () => {
    const store = open();
    const readPid = async () =>
      (await store.pool.query<{ pid: number }>("select pg_backend_pid() pid"))
        .rows;

    const before = await readPid();
    await sleep(LIMIT_MS * 2);
    const after = await readPid();

    expect(after).toEqual(before);
  });
});
