import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  test,
} from "@jest/globals";
import { sql } from "kysely";
import { setTimeout as sleep } from "node:timers/promises";
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
  test("what waits for a silent answer fails after the limit, and the next query has another connection", async () => {
    const store = open();

    const startedAt = performance.now();
    const slow = sql`select pg_sleep(3)`.execute(store.db);
    await expect(slow).rejects.toThrow("Query read timeout");
    const waitedMs = performance.now() - startedAt;
    const { rows } = await sql`select 1 as one`.execute(store.db);

    expect(waitedMs).toBeGreaterThan(LIMIT_MS * 0.9);
    expect(waitedMs).toBeLessThan(2_500);
    expect(rows).toEqual([{ one: 1 }]);
  });

  test("a transaction that was cut fails with that at once, and leaves nothing to the next one", async () => {
    const store = open();

    const startedAt = performance.now();
    const cut = store.db.transaction().execute(async (trx) => {
      await sql`create table left_behind ()`.execute(trx);
      await sql`select pg_sleep(3)`.execute(trx);
    });
    await expect(cut).rejects.toThrow("Query read timeout");
    const waitedMs = performance.now() - startedAt;
    const next = await store.db
      .transaction()
      .execute((trx) =>
        sql`select to_regclass('left_behind') as name`.execute(trx),
      );

    expect(waitedMs).toBeLessThan(LIMIT_MS * 2);
    expect(next.rows).toEqual([{ name: null }]);
  });

  test("one that is not heard any more is noticed, also before the first query", async () => {
    for (const text of ["select 'silence'", "set_config"]) {
      const store = open(await openSilencer(text));

      const query = sql`select 'silence'`.execute(store.db);

      await expect(query).rejects.toThrow("Query read timeout");
    }
  });
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
