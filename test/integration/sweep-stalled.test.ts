import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  test,
} from "@jest/globals";
import { sql } from "kysely";
import type { SweepOptions } from "../../src/sweep-stalled.ts";
import { sweepStalled } from "../../src/sweep-stalled.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import type { TestStore } from "../support/store.ts";
import { openStore } from "../support/store.ts";

let database: TestDatabase;
let store: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  store = openStore(database.url);
});

beforeEach(async () => {
  await sql`truncate webhook_events`.execute(store.db);
});

afterAll(async () => {
  await store.close();
  await database.drop();
});

/** Waiting events that were received so long ago, in this order. */
async function lost(
  ids: readonly string[],
  receivedAt = new Date(Date.now() - 60_000),
): Promise<void> {
  await sql`
    insert into webhook_events (event_id, event_type, body_sha256, signed_at, received_at, state)
    select id, 'card.update.succeeded', '', now(), ${receivedAt}::timestamptz + make_interval(secs => place / 1e6), 'received'
    from unnest(${ids}::text[]) with ordinality as given (id, place)`.execute(
    store.db,
  );
}

/** They were hinted again, and are still not finished. */
async function suspects(ids: readonly string[]): Promise<void> {
  await lost(ids);
  await sql`
    update webhook_events set hinted_at = received_at where event_id = any(${ids}::text[])`.execute(
    store.db,
  );
}

const idsFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, n) => String(first + n));

const unreachable = () => Promise.reject(new Error("ECONNREFUSED"));

/** Sweeps with a queue that answers like this, and writes down what was done. */
async function sweep({
  queue = {},
  ...more
}: {
  queue?: Partial<SweepOptions["queue"]>;
} & Partial<Omit<SweepOptions, "queue">> = {}) {
  const done: unknown[][] = [];
  const counts = await sweepStalled({
    db: store.db,
    queue: {
      oldestWaitingAt: () => Promise.resolve(undefined),
      enqueue: ({ eventIds, oneByOne }) => {
        done.push(["enqueue", [...eventIds].sort(), oneByOne]);
        return Promise.resolve();
      },
      ...queue,
    },
    apply: (eventIds, oneByOne) => {
      done.push(["apply", [...eventIds].sort(), oneByOne]);
      return Promise.resolve();
    },
    signal: new AbortController().signal,
    ...more,
  });
  return { counts, done };
}

describe("the sweep", () => {
  test("does nothing on an empty inbox", async () => {
    expect(await sweep()).toEqual({
      counts: { requeued: 0, reconciled: 0 },
      done: [],
    });
  });

  test("hints all that lost their hint in one batch", async () => {
    await lost(["a", "b"]);

    expect(await sweep()).toEqual({
      counts: { requeued: 2, reconciled: 0 },
      done: [["enqueue", ["a", "b"], false]],
    });
  });

  test("leaves an event alone whose hint may still be on its way", async () => {
    await lost(["a"], new Date(Date.now() - 2_000));

    expect(await sweep()).toMatchObject({ done: [] });
  });

  test("hints those that were hinted before one by one: one of them may end the worker", async () => {
    await suspects(["a", "c"]);
    await lost(["b"]);

    expect(await sweep()).toEqual({
      counts: { requeued: 3, reconciled: 0 },
      done: [
        ["enqueue", ["b"], false],
        ["enqueue", ["a", "c"], true],
      ],
    });
  });

  test("hints a whole backlog together, also when it was hinted before", async () => {
    const backlog = idsFrom(1_000, 200);
    await suspects(backlog);

    const { done } = await sweep();

    expect(done).toEqual([["enqueue", backlog, false]]);
  });

  test("goes on as long as there is a full batch", async () => {
    await lost(idsFrom(1_000, 201));

    expect(await sweep()).toEqual({
      counts: { requeued: 201, reconciled: 0 },
      done: [
        ["enqueue", idsFrom(1_000, 200), false],
        ["enqueue", ["1200"], false],
      ],
    });
  });

  test("ends after the batch under way when it is told to stop", async () => {
    const stop = new AbortController();
    await lost(idsFrom(1_000, 400));

    const { counts } = await sweep({
      signal: stop.signal,
      queue: {
        enqueue: () => {
          stop.abort();
          return Promise.resolve();
        },
      },
    });

    expect(counts).toEqual({ requeued: 200, reconciled: 0 });
  });

  test("in a deep but living queue takes only what is 5 s older than the oldest hint", async () => {
    const oldest = new Date("2026-04-12T10:00:00.250Z");
    await lost(["before"], new Date("2026-04-12T09:59:55.249Z"));
    await lost(["later"], new Date("2026-04-12T09:59:55.251Z"));

    const { done } = await sweep({
      queue: { oldestWaitingAt: () => Promise.resolve(oldest) },
    });

    expect(done).toEqual([["enqueue", ["before"], false]]);
  });

  test("applies the events itself when the queue cannot be asked", async () => {
    await lost(["a"]);
    await suspects(["b"]);

    expect(await sweep({ queue: { oldestWaitingAt: unreachable } })).toEqual({
      counts: { requeued: 0, reconciled: 2 },
      done: [
        ["apply", ["a"], false],
        ["apply", ["b"], true],
      ],
    });
  });

  test("applies the events itself when the queue takes no hint, and asks it only once", async () => {
    let asked = 0;
    await lost(idsFrom(1_000, 201));

    const { counts } = await sweep({
      queue: {
        enqueue: () => {
          asked += 1;
          return unreachable();
        },
      },
    });

    expect(counts).toEqual({ requeued: 0, reconciled: 201 });
    expect(asked).toBe(1);
  });

  test("counts what was hinted before the queue was lost", async () => {
    let asked = 0;
    await lost(["a", "b"]);
    await suspects(["c"]);

    const { counts } = await sweep({
      queue: {
        enqueue: () => {
          asked += 1;
          return asked === 1 ? Promise.resolve() : unreachable();
        },
      },
    });

    expect(counts).toEqual({ requeued: 2, reconciled: 1 });
  });

  test("fails when the events cannot be applied either: the next period tries again", async () => {
    await lost(["a"]);
    const sweeping = sweep({
      queue: { oldestWaitingAt: unreachable },
      apply: () => Promise.reject(new Error("connection lost")),
    });

    await expect(sweeping).rejects.toThrow("connection lost");
  });

  test("fails when the database does: the next period tries again", async () => {
    const gone = openStore(database.url);
    await gone.close();

    await expect(sweep({ db: gone.db })).rejects.toThrow(/end/);
  });
});
