import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { listEvents } from "../../src/store/event-records.ts";
import type { EventFilter, ListOrder } from "../../src/store/event-records.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import type { TestStore } from "../support/store.ts";
import { openStore } from "../support/store.ts";

let database: TestDatabase;
let store: TestStore;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** From the newest to the oldest; of the same age the greater id is the newer. */
const AGES: Readonly<Record<string, number>> = {
  "newest, without body": 0,
  "a minute": MINUTE_MS,
  "half an hour": HOUR_MS / 2,
  "half a day, without body": DAY_MS / 2,
  "ten days, z": 10 * DAY_MS,
  "ten days, b, without body": 10 * DAY_MS,
  "ten days, a": 10 * DAY_MS,
  "a year, without body": 365 * DAY_MS,
};
const names = Object.keys(AGES);
const NEWEST_MS = Date.parse("2026-04-12T10:00:00Z");

beforeAll(async () => {
  database = await createTestDatabase();
  store = openStore(database.url);
  for (const [name, ageMs] of Object.entries(AGES))
    await store.pool.query(
      `insert into webhook_events (event_id, event_type, card_id, body, body_sha256, signed_at, received_at, state)
       values ($1, 't', 'card', case when $1 !~ 'without body' then '{}' end, '', $2, $2, 'processed')`,
      [name, new Date(NEWEST_MS - ageMs)],
    );
}, 60_000);

afterAll(async () => {
  await store.close();
  await database.drop();
});

const list = async (
  filter: EventFilter,
  limit: number,
  order: ListOrder = "newest",
) =>
  (await listEvents(store.db, filter, limit, order)).map(
    ({ eventId }) => eventId,
  );

test("the first of the end that is asked for come, in its order, with and without bodies", async () => {
  for (let limit = 1; limit <= names.length + 1; limit++) {
    expect(await list({}, limit, "newest")).toEqual(names.slice(0, limit));
    expect(await list({}, limit, "oldest")).toEqual(
      names.toReversed().slice(0, limit),
    );
  }
});

test("what is restricted in time is the newest of that time", async () => {
  const until = new Date(NEWEST_MS - HOUR_MS / 4);
  const since = new Date(NEWEST_MS - 20 * DAY_MS);

  expect(await list({ until }, 2)).toEqual([
    "half an hour",
    "half a day, without body",
  ]);
  expect(await list({ since }, 100)).toEqual(names.slice(0, -1));
  expect(await list({ since, until }, 100)).toEqual(names.slice(2, -1));
});

test("what is restricted otherwise is found, too", async () => {
  expect(await list({ type: "t", state: "processed" }, 100)).toEqual(names);
  expect(await list({ type: "another" }, 100)).toEqual([]);
  expect(await list({ cardId: "card" }, 2)).toEqual(names.slice(0, 2));
  expect(await list({ eventIds: ["a minute"] }, 2)).toEqual(["a minute"]);
});
