import type { QueryConfig } from "pg";
import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  test,
} from "@jest/globals";
import type { InboxWriter } from "../../src/record-events.ts";
import { createInboxWriter } from "../../src/record-events.ts";
import { findCopies, recordEvents } from "../../src/store/inbox.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { aStatusUpdate } from "../support/deliveries.ts";
import type { Payload } from "../support/fixtures.ts";
import type { TestStore } from "../support/store.ts";
import { inboxEntryOf, openStore } from "../support/store.ts";
import { settle } from "../support/settle.ts";
import { waitFor } from "../support/wait-for.ts";

let database: TestDatabase;
let store: TestStore;
let writer: InboxWriter;
/** The names of those that the writer sent, in their order. */
let statements: (string | undefined)[];
/** What it told of each. */
let batches: unknown[];

beforeAll(async () => {
  database = await createTestDatabase();
  store = openStore(database.url);
}, 60_000);

afterAll(async () => {
  await store.close();
  await database.drop();
});

beforeEach(() => {
  statements = [];
  batches = [];
  const pool = new Proxy(store.pool, {
    get: (target, property) =>
      property === "query"
        ? (config: QueryConfig) => {
            statements.push(config.name);
            return target.query(config);
          }
        : (Reflect.get(target, property) as unknown),
  });
  writer = createInboxWriter({
    record: (entries) => recordEvents(pool, entries),
    findCopies: (entries) => findCopies(pool, entries),
    onBatch: (results) => batches.push(results),
    limits: { maxBatch: 200, maxWaiting: 200, isItemFault: () => false },
  });
});

const someEvents = (count: number) =>
  Array.from({ length: count }, () => aStatusUpdate());

const changed = (event: Payload): Payload => ({
  ...event,
  data: { ...event.data, card_status: "CANCELLED" },
});

const add = (event: Payload) => writer.add(inboxEntryOf(event));

const addAll = (events: readonly Payload[]) => Promise.all(events.map(add));

/** Keeps whatever writes to the inbox waiting until it is released, and lets others read. */
async function whileCommitsAreHeld(
  work: (release: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const client = await store.pool.connect();
  try {
    await client.query("begin");
    await client.query("lock table webhook_events in share mode");
    await work(() => client.query("commit"));
  } finally {
    client.release(true);
  }
}

/** Three events that are stored, and a writer that has just seen nothing but copies. */
async function aCrowdOfCopies(): Promise<Payload[]> {
  const events = someEvents(3);
  await addAll(events);
  await addAll(events);
  statements.length = 0;
  batches.length = 0;
  return events;
}

test("what comes is sent at once, in one statement for all", async () => {
  expect(await addAll(someEvents(3))).toEqual(Array(3).fill("recorded"));

  expect(statements).toEqual(["record-events"]);
});

describe("in a crowd of copies", () => {
  test("copies are only looked up; what is new among them is recorded, another content is a conflict", async () => {
    const events = await aCrowdOfCopies();
    const [first = aStatusUpdate()] = events;

    expect(await addAll(events)).toEqual(Array(3).fill("duplicate"));
    expect(statements).toEqual(["find-digests"]);

    const results = await addAll([...events, aStatusUpdate(), changed(first)]);

    expect(results).toEqual([
      ...Array<string>(3).fill("duplicate"),
      "recorded",
      "conflict",
    ]);
  });

  test("of a new event that comes several times at once, one is recorded", async () => {
    await aCrowdOfCopies();
    const fresh = aStatusUpdate();

    const results = await addAll([fresh, changed(fresh), fresh]);

    expect(results).toEqual(["recorded", "conflict", "duplicate"]);
    expect(batches).toEqual([Array(3).fill(undefined), results]);
  });

  test("copies do not wait for the commit of what came with them", async () => {
    const copies = await aCrowdOfCopies();

    await whileCommitsAreHeld(async (release) => {
      const recorded = add(aStatusUpdate());
      for (let round = 0; round < 2; round++)
        expect(await addAll(copies)).toEqual(Array(3).fill("duplicate"));
      await release();

      expect(await recorded).toBe("recorded");
    });
  });

  test("a look-up that fails fails who waits for it, and keeps nobody else from trying", async () => {
    const [copy = aStatusUpdate()] = await aCrowdOfCopies();
    const nul = { ...aStatusUpdate(), event_id: "\u0000" };

    await expect(add(nul)).rejects.toThrow("invalid byte sequence");

    expect(await add(copy)).toBe("duplicate");
  });

  test("when what comes is new again, it is sent at once again", async () => {
    await aCrowdOfCopies();
    await addAll(someEvents(3));
    statements.length = 0;

    await addAll(someEvents(3));

    expect(statements).toEqual(["record-events"]);
  });

  test("to drain is to wait for the commit of what was looked for and not found, too", async () => {
    await aCrowdOfCopies();

    await whileCommitsAreHeld(async (release) => {
      const recorded = add(aStatusUpdate());
      let isDrained = false;
      const drained = writer.drain().then(() => (isDrained = true));
      await waitFor(
        () => Promise.resolve(statements.includes("record-events")),
        { what: "the new event to be sent" },
      );
      await settle();
      expect(isDrained).toBe(false);
      await release();

      await drained;
      expect(await recorded).toBe("recorded");
    });
  });
});
