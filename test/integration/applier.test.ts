import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { createMetrics } from "../../src/metrics.ts";
import { createLogger } from "../../src/process/logger.ts";
import { createApplier } from "../../src/roles/applier.ts";
import { recordEvents } from "../../src/store/inbox.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { aStatusUpdate } from "../support/deliveries.ts";
import type { TestStore } from "../support/store.ts";
import { inboxEntryOf, openStore } from "../support/store.ts";

let database: TestDatabase;
let store: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  store = openStore(database.url, { isWorkerSession: true });
});

afterAll(async () => {
  await store.close();
  await database.drop();
});

test("no other event is being tried while one is that may end the process", async () => {
  // So many that they would meet: each takes a few milliseconds.
  const poisons = await record(20);
  const others = await record(2);
  const underWay = new Set<string>();
  const together: string[][] = [];
  const { apply } = createApplier({
    db: store.db,
    retries: {
      prefix: "",
      concurrency: 16,
      maxAttempts: 3,
      firstRetryDelayMs: 1_000,
      requeuePeriodMs: 1_000,
      redisUrl: undefined,
    },
    guard: { isOpen: () => true, look: async () => true },
    queue: { enqueue: async () => undefined },
    metrics: createMetrics(
      {
        oldestWaitingSeconds: async () => 0,
        openQuarantine: async () => new Map(),
      },
      {
        version: "test",
        kinds: [],
        reasons: [],
        secrets: 1,
        unreadableFields: [],
      },
    ),
    log: createLogger("silent"),
    checkpoint: (moment, ids) => {
      for (const id of ids) {
        if (moment === "applying") underWay.add(id);
        if (moment === "committed") underWay.delete(id);
      }
      together.push([...underWay].sort());
    },
    signal: new AbortController().signal,
  });

  await Promise.all([
    apply(poisons, true),
    apply(poisons.toReversed(), true),
    apply(others, false),
  ]);

  const allowed = [[], others.toSorted(), ...poisons.map((id) => [id])];
  for (const ids of together) expect(allowed).toContainEqual(ids);
  expect(together).toContainEqual(others.toSorted());
});

async function record(count: number): Promise<string[]> {
  const events = Array.from({ length: count }, () => aStatusUpdate());
  await recordEvents(
    store.db,
    events.map((event) => inboxEntryOf(event)),
  );
  return events.map(({ event_id }) => event_id);
}
