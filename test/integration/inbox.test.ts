import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { recordEvents } from "../../src/store/inbox.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { aStatusUpdate } from "../support/deliveries.ts";
import type { Payload } from "../support/fixtures.ts";
import type { TestStore } from "../support/store.ts";
import { inboxEntryOf, openStore } from "../support/store.ts";

let database: TestDatabase;
let store: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  store = openStore(database.url);
}, 60_000);

afterAll(async () => {
  await store.close();
  await database.drop();
});

const record = (events: readonly Payload[]) =>
  recordEvents(
    store.pool,
    events.map((event) => inboxEntryOf(event)),
  );

const changed = (event: Payload): Payload => ({
  ...event,
  data: { ...event.data, card_status: "CANCELLED" },
});

const storedBodies = async (event: Payload): Promise<unknown> =>
  (
    await store.pool.query(
      "select body from webhook_events where event_id = $1",
      [event.event_id],
    )
  ).rows;

describe("of a batch, in the order of its entries", () => {
  test("what is new is recorded; a copy beside it is a duplicate, another content a conflict", async () => {
    const [first, other] = [aStatusUpdate(), aStatusUpdate()];

    const results = await record([
      first,
      other,
      first,
      changed(first),
      changed(other),
    ]);

    expect(results).toEqual([
      "recorded",
      "recorded",
      "duplicate",
      "conflict",
      "conflict",
    ]);
    expect(await storedBodies(first)).toEqual([
      { body: JSON.stringify(first) },
    ]);
  });

  test("what is stored is a duplicate, another content a conflict, however often each comes", async () => {
    const [stored, fresh, known] = [
      aStatusUpdate(),
      aStatusUpdate(),
      aStatusUpdate(),
    ];
    await record([stored, known]);

    const results = await record([
      changed(stored),
      fresh,
      stored,
      known,
      changed(stored),
      stored,
      changed(known),
    ]);

    expect(results).toEqual([
      "conflict",
      "recorded",
      "duplicate",
      "duplicate",
      "conflict",
      "duplicate",
      "conflict",
    ]);
    expect(await storedBodies(stored)).toEqual([
      { body: JSON.stringify(stored) },
    ]);
  });
});
