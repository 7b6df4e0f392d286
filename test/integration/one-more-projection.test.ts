import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { reconcileEvents } from "../../src/apply-events.ts";
import { clockOf } from "../../src/domain/clock.ts";
import { statedAt } from "../../src/domain/registers.ts";
import { explainCard } from "../../src/operate/explain.ts";
import {
  rebuildProjections,
  verifyProjections,
} from "../../src/operate/recompute.ts";
import { replayEvent } from "../../src/operate/replay.ts";
import { PROJECTIONS } from "../../src/projections/index.ts";
import type { Projection } from "../../src/projections/projection.ts";
import {
  bookkeeping,
  derived,
  earliest,
  key,
  latest,
  required,
} from "../../src/projections/projection.ts";
import { recordEvents } from "../../src/store/inbox.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { anAuthorization } from "../support/deliveries.ts";
import type { Payload } from "../support/fixtures.ts";
import type { TestStore } from "../support/store.ts";
import { inboxEntryOf, openStore, reconcileOptions } from "../support/store.ts";

/** All that it takes: where each card was used, by category. */
const visits: Projection = {
  table: "visits",
  subject: "visit",
  columns: {
    card_id: key("text"),
    mcc: key("text"),
    merchant_name: latest("text"),
    is_foreign: derived("boolean", (row) => row["country"]?.value !== "SG"),
    country: latest("text"),
    first_visit_at: earliest("clock"),
    last_event_id: bookkeeping(required(latest("text"))),
  },
  statementsIn: (event) => {
    if (event.kind !== "transaction-reported") return [];
    const { mcc, merchant_name, merchant_country } = event.transaction;
    if (event.cardId === undefined || typeof mcc !== "string") return [];
    const clock = clockOf(event, event.happenedAt);
    return [
      {
        key: [event.cardId, mcc],
        registers: statedAt(clock, {
          merchant_name,
          country: merchant_country,
          first_visit_at: clock.at,
          last_event_id: event.eventId,
        }),
      },
    ];
  },
};

const projections = [...PROJECTIONS, visits];
const CARD = "card-1";

let database: TestDatabase;
let store: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  store = openStore(database.url, { isWorkerSession: true });
  await store.pool.query(`
    create table visits (
      card_id        text not null,
      mcc            text not null,
      merchant_name  text,
      is_foreign     boolean not null,
      country        text,
      first_visit_at timestamptz not null,
      last_event_id  text not null,
      updated_at     timestamptz not null default now(),
      field_clocks   jsonb not null,
      primary key (card_id, mcc)
    )`);
});

afterAll(async () => {
  await store.close();
  await database.drop();
});

test("a table that is kept is one file: it is applied, verified, rebuilt, replayed dry and explained", async () => {
  const first = visit("first", "10:00", "A", "SG");
  const second = visit("second", "11:00", "B", "US");
  const replayed = visit("replayed", "12:00", "C", "SG");

  // The later one comes first.
  await apply(second);
  await apply(first);
  const row = await readRow();
  const found = await all(verifyProjections(store.db, CARD, projections));

  expect(row).toMatchObject({
    merchant_name: "B",
    is_foreign: true,
    first_visit_at: "2026-04-12T10:00:00.000000Z",
    field_clocks: {
      merchant_name: { event_id: "second" },
      first_visit_at: { event_id: "first" },
    },
  });
  expect(found).toEqual([]);

  await store.pool.query("update visits set merchant_name = 'edited'");
  const edited = await all(verifyProjections(store.db, CARD, projections));
  const rebuilt = await all(rebuildProjections(store.db, CARD, projections));

  expect(edited).toEqual([
    {
      table: "visits",
      id: JSON.stringify([CARD, "5734"]),
      column: "merchant_name",
      from: "edited",
      to: "B",
    },
  ]);
  expect(rebuilt).toEqual(edited);
  expect(await readRow()).toMatchObject({ merchant_name: "B" });

  await recordEvents(store.db, [inboxEntryOf(replayed)]);
  const dry = await replayEvent(store.db, "replayed", true, projections);

  expect(dry).toMatchObject({
    changes: expect.arrayContaining([
      expect.objectContaining({ column: "merchant_name", from: "B", to: "C" }),
    ]),
  });
  expect(await readRow()).toMatchObject({ merchant_name: "B" });

  const story = await explainCard(store.db, CARD, projections);

  expect(story?.row).toBe("agrees");
  expect(
    story?.events.flatMap(({ changes }) =>
      changes
        .filter(({ table }) => table === "visits")
        .map(({ column, from, to }) => [column, from, to]),
    ),
  ).toEqual([
    ["merchant_name", null, "A"],
    ["country", null, "SG"],
    ["first_visit_at", null, "2026-04-12T10:00:00.000000Z"],
    ["merchant_name", "A", "B"],
    ["is_foreign", false, true],
    ["country", "SG", "US"],
  ]);
});

function visit(
  event_id: string,
  time: string,
  name: string,
  country: string,
): Payload {
  return anAuthorization(
    {
      card_id: CARD,
      transaction_time: `2026-04-12T${time}:00Z`,
      merchant_data: [{ category_code: "5734", name, country }],
    },
    { event_id },
  );
}

async function apply(event: Payload): Promise<void> {
  await recordEvents(store.db, [inboxEntryOf(event)]);
  const options = reconcileOptions(store.db, { projections });
  const { failed } = await reconcileEvents([event.event_id], options);
  expect(failed).toEqual([]);
}

async function readRow(): Promise<unknown> {
  const { rows } = await store.pool.query<object>("select * from visits");
  expect(rows).toHaveLength(1);
  return rows[0];
}

async function all(
  parts: ReturnType<typeof verifyProjections>,
): Promise<unknown[]> {
  const changes: unknown[] = [];
  for await (const part of parts) changes.push(...part.changes);
  return changes;
}
