import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { recordEvents, takeWaitingEvents } from "../../src/store/inbox.ts";
import { lockProjection } from "../../src/store/projection-lock.ts";
import { inTransaction } from "../../src/store/transaction.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { aStatusUpdate } from "../support/deliveries.ts";
import type { TestStore } from "../support/store.ts";
import { inboxEntryOf, openStore } from "../support/store.ts";
import { waitFor } from "../support/wait-for.ts";

let database: TestDatabase;
let store: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  // As the worker's.
  store = openStore(database.url, { looksUpOnly: true });
});

afterAll(async () => {
  await store.close();
  await database.drop();
});

test("events are locked in the order of their ids, however they lie in the table and are asked for", async () => {
  for (const event_id of ["c", "b", "a"])
    await recordEvents(store.pool, [
      inboxEntryOf(aStatusUpdate({}, { event_id })),
    ]);
  const holder = await store.pool.connect();
  await holder.query("begin");
  await holder.query(
    "select from webhook_events where event_id = 'a' for update",
  );

  const taking = inTransaction(store.db, (trx) =>
    takeWaitingEvents(trx, ["b", "c", "a"], true),
  );
  await untilOneWaits();
  const { rows: free } = await store.pool.query<{ event_id: string }>(
    "select event_id from webhook_events order by event_id for update skip locked",
  );
  await holder.query("rollback");
  holder.release();

  expect(free.map((row) => row.event_id)).toEqual(["b", "c"]);
  expect((await taking).map(({ eventId }) => eventId).sort()).toEqual([
    "a",
    "b",
    "c",
  ]);
});

test("cards and transactions are locked in one order, however they are asked for", async () => {
  const { rows: names } = await store.pool.query<{ id: string }>(
    `select id from unnest($1::text[]) as id
     order by hashtextextended('card ' || id, 0) desc`,
    [["a", "b", "c", "d", "e"]],
  );
  const descending = names.map(({ id }) => id);
  const last = descending[0] ?? "";
  const holder = await store.pool.connect();
  const { rows: holders } = await holder.query<{ pid: number }>(
    `select pg_backend_pid() as pid
     from pg_advisory_lock(hashtextextended('card ' || $1, 0))`,
    [last],
  );

  const locking = inTransaction(store.db, (trx) =>
    lockProjection(trx, descending, []),
  );
  await untilOneWaits();
  const { rows: held } = await store.pool.query<{ count: number }>(
    `select count(*)::int as count from pg_locks
     where locktype = 'advisory' and granted and pid <> $1
       and database = (select oid from pg_database where datname = current_database())`,
    [holders[0]?.pid],
  );
  await holder.query("select pg_advisory_unlock_all()");
  holder.release();
  await locking;

  expect(held).toEqual([{ count: 4 }]);
});

async function untilOneWaits(): Promise<void> {
  await waitFor(
    async () => {
      const { rowCount } = await store.pool.query(
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      return (rowCount ?? 0) > 0;
    },
    { what: "a lock that is held to be waited for" },
  );
}
