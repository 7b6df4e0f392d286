import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { recordEvents } from "../../src/store/inbox.ts";
import { takeWaitingEvents } from "../../src/store/waiting-events.ts";
import { PROJECTIONS } from "../../src/projections/index.ts";
import { lockRows } from "../../src/store/projection-rows.ts";
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
  store = openStore(database.url, { isWorkerSession: true });
});

afterAll(async () => {
  await store.close();
  await database.drop();
});

test("events are locked in the order of their ids, however they lie in the table and are asked for", async () => {
  for (const event_id of ["c", "b", "a"])
    await recordEvents(store.db, [
      inboxEntryOf(aStatusUpdate({}, { event_id })),
    ]);
  const holder = await store.pool.connect();
  await holder.query("begin");
  await holder.query(
    "select from webhook_events where event_id = 'a' for update",
  );

  const taking = store.db
    .transaction()
    .execute((trx) => takeWaitingEvents(trx, ["b", "c", "a"], true));
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
  const { rows } = await store.pool.query<{ name: string }>(
    `select kind || ' ' || id as name
     from unnest($1::text[]) as kind, unnest($2::text[]) as id
     order by hashtextextended(kind || ' ' || id, 0)`,
    [
      ["card", "transaction"],
      ["a", "b", "c"],
    ],
  );
  const names = rows.map(({ name }) => name);

  const lockedBefore = [];
  for (const name of names)
    lockedBefore.push(await countLockedBefore(name, names.toReversed()));

  expect(lockedBefore).toEqual([0, 1, 2, 3, 4, 5]);
});

/** How many of these a writer holds when it comes to the one that somebody else has. */
async function countLockedBefore(
  held: string,
  names: readonly string[],
): Promise<number | undefined> {
  const idsOf = (kind: string) =>
    names
      .filter((name) => name.startsWith(`${kind} `))
      .map((name) => name.slice(kind.length + 1));
  const holder = await store.pool.connect();
  try {
    await holder.query("begin");
    await holder.query(
      "select pg_advisory_xact_lock(hashtextextended($1, 0))",
      [held],
    );
    const locking = store.db.transaction().execute((trx) =>
      lockRows(
        trx,
        PROJECTIONS.map((projection) => ({
          projection,
          keys: idsOf(projection.subject).map((id) => [id]),
        })),
      ),
    );
    await untilOneWaits();
    const { rows } = await holder.query<{ count: number }>(
      `select count(*)::int as count from pg_locks
       where locktype = 'advisory' and granted and pid <> pg_backend_pid()
         and database = (select oid from pg_database where datname = current_database())`,
    );
    await holder.query("rollback");
    await locking;
    return rows[0]?.count;
  } finally {
    holder.release();
  }
}

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
