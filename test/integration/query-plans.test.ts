import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { reconcileEvents } from "../../src/apply-events.ts";
import type { Database } from "../../src/store/database.ts";
import { createDatabase } from "../../src/store/database.ts";
import { findEventsOfCard, listEvents } from "../../src/store/event-records.ts";
import { findCopies, recordEvents } from "../../src/store/inbox.ts";
import {
  findOldestWaitingSeconds,
  takeStalledEvents,
} from "../../src/store/waiting-events.ts";
import { countOpenQuarantine, quarantine } from "../../src/store/quarantine.ts";
import { listQuarantine } from "../../src/store/quarantine-records.ts";
import { dropOldBodies } from "../../src/store/retention.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { aStatusUpdate, anMccDecline, sha256 } from "../support/deliveries.ts";
import type { Payload } from "../support/fixtures.ts";
import { fill } from "../support/large-database.ts";
import type { PlanWatch, TableAccess } from "../support/query-plans.ts";
import { watchPlans } from "../support/query-plans.ts";
import type { Reader } from "../support/service.ts";
import { openReader } from "../support/service.ts";
import { inboxEntryOf, reconcileOptions } from "../support/store.ts";

/** Large enough that a scan is told from a look-up; `npm run test:plans` takes 2 million events and 1 million cards. */
const SIZE = {
  events: Number(process.env["PLANS_EVENTS"] ?? 100_000),
  cards: Number(process.env["PLANS_CARDS"] ?? 50_000),
};
const FILL_LIMIT_MS = 600_000;
/** What a batch reads: its own rows, however large the tables are. */
const BATCH = 200;
/** What an operator's or a user's query may read to answer with a page. */
const PAGE = 10_000;

let database: TestDatabase;
let reader: Reader;
let watch: PlanWatch;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  reader = openReader(database.url);
  await fill(reader, SIZE);
  openWatch(false);
}, FILL_LIMIT_MS);

/** @param isWorkerSession as a worker's session does */
function openWatch(isWorkerSession: boolean): void {
  watch = watchPlans(database.url, { isWorkerSession });
  db = createDatabase(watch.pool);
}

async function reopenWatch(isWorkerSession: boolean): Promise<void> {
  await db.destroy();
  openWatch(isWorkerSession);
}

afterAll(async () => {
  await db.destroy();
  await reader.close();
  await database.drop();
}, FILL_LIMIT_MS);

/** Events about cards that are there. */
function someEvents(count: number): Payload[] {
  return Array.from({ length: count }, (_, n) => {
    const card_id = `card-${String(1 + ((n * 31) % SIZE.cards))}`;
    return n % 2 === 0 ? aStatusUpdate({ card_id }) : anMccDecline({ card_id });
  });
}

const record = (events: readonly Payload[]) =>
  recordEvents(
    watch.db,
    events.map((event) => inboxEntryOf(event)),
  );

const reconcile = (events: readonly Payload[], oneByOne = false) =>
  reconcileEvents(
    events.map(({ event_id }) => event_id),
    reconcileOptions(db),
    oneByOne,
  );

/** @param mostRows that any one look at a table may read */
function expectLookUps(
  accesses: readonly TableAccess[],
  mostRows: number,
): void {
  expect(accesses.length).toBeGreaterThan(0);
  expect(accesses.filter(({ node }) => node === "Seq Scan")).toEqual([]);
  expect(accesses.filter(({ rowsRead }) => rowsRead > mostRows)).toEqual([]);
}

/** A hundred times as many wait as a batch has. */
async function withBacklog<Result>(
  hintedAt: "now() + interval '1 hour'" | "now() - interval '1 hour'",
  work: () => Promise<Result>,
): Promise<Result> {
  await reader.rows(
    `insert into webhook_events (event_id, event_type, body_sha256, signed_at, state, hinted_at)
     select 'backlog-' || n, 't', '', now(), 'received', ${hintedAt} from generate_series(1, $1::int) n`,
    [100 * BATCH],
  );
  try {
    return await work();
  } finally {
    await reader.rows(
      "delete from webhook_events where event_id like 'backlog-%'",
    );
    await reader.rows("vacuum analyze webhook_events");
  }
}

describe.each([
  ["as PostgreSQL plans by itself", false],
  ["as a worker's session has it plan", true],
])(
  `with ${String(SIZE.events)} events and ${String(SIZE.cards)} cards, the path of a webhook reads only its own rows, %s`,
  (_, isWorkerSession) => {
    beforeAll(() => reopenWatch(isWorkerSession));

    test("recording a batch, half of it known", async () => {
      const events = someEvents(BATCH);
      await record(events.slice(BATCH / 2));

      const accesses = await watch.accessesOf(() => record(events));

      expectLookUps(accesses, BATCH);
      await reconcile(events);
    });

    test.each([
      ["together", false],
      ["one by one", true],
    ])("reconciling a batch, %s", async (_, oneByOne) => {
      const events = someEvents(BATCH);
      await record(events);

      const accesses = await watch.accessesOf(() =>
        reconcile(events, oneByOne),
      );

      expectLookUps(accesses, BATCH);
    });

    test("reconciling a batch while a hundred times as many wait, of which the statistics know nothing", async () => {
      const events = someEvents(BATCH);
      await record(events);
      await withBacklog("now() + interval '1 hour'", async () => {
        const accesses = await watch.accessesOf(() => reconcile(events));
        await reader.rows("analyze webhook_events");
        const more = someEvents(BATCH);
        await record(more);
        const accessesLater = await watch.accessesOf(() => reconcile(more));

        expectLookUps(accesses, BATCH);
        expectLookUps(accessesLater, BATCH);
      });
    });

    test("a stale or conflicting delivery", async () => {
      const accesses = await watch.accessesOf(async () => {
        await findCopies(watch.db, [
          {
            eventId: "event-7",
            bodySha256: sha256(aStatusUpdate()),
            signedAt: undefined,
          },
        ]);
        await quarantine(db, [
          {
            reason: "stale_timestamp",
            eventId: "event-7",
            eventType: "t",
            cardId: undefined,
            issues: undefined,
            body: Buffer.from("{}"),
            bodySha256: sha256(aStatusUpdate()),
            signedAt: undefined,
          },
        ]);
      });

      expectLookUps(accesses, BATCH);
    });

    test("the sweep for stalled events", async () => {
      await withBacklog("now() - interval '1 hour'", async () => {
        const accesses = await watch.accessesOf(() =>
          takeStalledEvents(db, 1_000, undefined, BATCH),
        );

        expectLookUps(accesses, BATCH);
      });
    });

    test("one step of retention", async () => {
      const accesses = await watch.accessesOf(() =>
        dropOldBodies(db, new Date(Date.now() - 3_600_000), BATCH),
      );

      expectLookUps(accesses, PAGE);
    });
  },
);

describe("what an operator asks reads no more than it shows", () => {
  beforeAll(() => reopenWatch(false));

  test.each<[string, () => Promise<unknown>]>([
    ["the age of the oldest waiting event", () => findOldestWaitingSeconds(db)],
    ["the size of the quarantine", () => countOpenQuarantine(db)],
    ["a card's story", () => findEventsOfCard(db, "card-77")],
    [
      "the events of a card",
      () => listEvents(db, { cardId: "card-77" }, BATCH),
    ],
    ["the newest events", () => listEvents(db, {}, BATCH, "newest")],
    [
      "the newest events of a type",
      () =>
        listEvents(
          db,
          { type: "issuing.transaction.authorization" },
          BATCH,
          "newest",
        ),
    ],
    ["the oldest events", () => listEvents(db, {}, BATCH)],
    [
      "the events of an hour",
      () => listEvents(db, { since: new Date(Date.now() - 3_600_000) }, BATCH),
    ],
    ["failed events", () => listEvents(db, { state: "failed" }, BATCH)],
    ["open quarantine entries", () => listQuarantine(db, {}, BATCH)],
  ])("%s", async (_, ask) => {
    expectLookUps(await watch.accessesOf(ask), PAGE);
  });
});

describe("what became of a transaction is looked up", () => {
  beforeAll(() => reopenWatch(false));

  test.each([
    [
      "by the sums of an authorization",
      `select settled_amount, settlement_credited_amount, settlement_reversed_amount, reversed_amount, refunded_amount
       from authorizations where transaction_id = 'transaction-11'`,
    ],
    [
      "by the sums of a card's authorizations",
      `select * from authorizations where card_id = (select card_id from transactions where transaction_id = 'transaction-11')`,
    ],
    [
      "by its id",
      "select * from transactions where original_transaction_id = 'transaction-11'",
    ],
    [
      "beside it",
      `select * from authorizations a join transactions t on t.original_transaction_id = a.transaction_id
       where a.transaction_id = 'transaction-11'`,
    ],
  ])("%s", async (_, query) => {
    const rows = await reader.rows(query);
    const accesses = await watch.accessesOf(() => watch.pool.query(query));

    expect(rows.length).toBeGreaterThan(0);
    expectLookUps(accesses, PAGE);
  });
});

describe("the queries of the README look up what they show", () => {
  const readme = readFileSync(
    new URL("../../README.md", import.meta.url),
    "utf8",
  );
  const queries = [...readme.matchAll(/```sql\n([^]*?)```/g)]
    .flatMap(([, block = ""]) => block.split(";"))
    .map((query) => query.trim())
    .filter((query) => query !== "");

  test("there are some", () => {
    expect(queries.length).toBeGreaterThan(4);
  });

  test.each(queries)("%s", async (query) => {
    const accesses = await watch.accessesOf(() => watch.pool.query(query));

    expectLookUps(accesses, PAGE);
  });
});
