import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createSimulator } from "../../dev/simulator/simulator.ts";
import { closeBudget, takeCall } from "../../src/store/api-budget.ts";
import { createUqpayApi } from "../../src/uqpay/api/client.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import type { TestStore } from "../support/store.ts";
import { openStore } from "../support/store.ts";

let database: TestDatabase;
let stores: TestStore[];

beforeEach(async () => {
  database = await createTestDatabase();
  stores = [];
});

afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await database.drop();
});

/** An instance, with connections of its own. */
function instance(): TestStore {
  const store = openStore(database.url);
  stores.push(store);
  return store;
}

const change = async (assignments: string) => {
  const { pool } = stores[0] ?? instance();
  await pool.query(`update api_budget set ${assignments}`);
};

/** As if so much time had passed. */
const pass = (ms: number) =>
  change(
    `emptied_at = emptied_at - interval '${ms} ms', closed_until = closed_until - interval '${ms} ms'`,
  );

describe("the budget of calls", () => {
  test("is not exceeded in any minute, however many instances take at once and wherever the minute begins", async () => {
    const perMinute = 6_000;
    const lastsMs = 3_000;
    const startedAt = performance.now();
    const takers = Array.from({ length: 4 }, instance).flatMap(({ db }) => [
      db,
      db,
      db,
    ]);
    const taken: number[] = [];
    await Promise.all(
      takers.map(async (db) => {
        while (performance.now() - startedAt < lastsMs) {
          const before = performance.now();
          const waitMs = await takeCall(db, perMinute);
          if (waitMs === 0) taken.push((before + performance.now()) / 2);
          else await sleep(waitMs);
        }
      }),
    );

    // One each 10 ms, and what may come at once.
    expect(taken.length).toBeLessThanOrEqual(lastsMs / 10 + 4);
    expect(taken.length).toBeGreaterThan((lastsMs / 10) * 0.5);
  });

  test.each([1, 2, 3, 120, 500])(
    "of %d a minute allows so many in the first minute, and in each that begins later",
    async (perMinute) => {
      const { db } = instance();
      const takenAt: number[] = [];
      const startedAt = performance.now();
      const restEvery = Math.ceil(perMinute * 1.2);
      let passedMs = 0;
      const nowMs = () => passedMs + performance.now() - startedAt;
      // What callers see who are never late: the time that they would wait is taken out of the row.
      while (nowMs() < 180_000) {
        const waitMs = await takeCall(db, perMinute);
        if (waitMs === 0) takenAt.push(nowMs());
        else {
          // Now and then nobody asks for a while, and some calls may come at once after it.
          const restMs = takenAt.length % restEvery === 0 ? 2_000 : 0;
          await pass(waitMs + restMs);
          passedMs += waitMs + restMs;
        }
      }

      for (const start of takenAt) {
        const within = takenAt.filter(
          // A call is noted some milliseconds after it was taken.
          (at) => at >= start && at < start + 60_000 - 50,
        );
        expect(within.length).toBeLessThanOrEqual(perMinute);
      }
      expect(takenAt.length).toBeGreaterThan(perMinute);
    },
    120_000,
  );

  test("lets a few calls go at once, and then one after the other", async () => {
    const { db } = instance();

    const waits = [];
    for (let call = 0; call < 5; call += 1) waits.push(await takeCall(db, 120));

    expect(waits.slice(0, 3)).toEqual([0, 0, 0]);
    expect(waits[3]).toBeGreaterThan(300);
    expect(waits[3]).toBeLessThanOrEqual(60_000 / 118 + 1);
    expect(waits[4]).toBeLessThanOrEqual(waits[3] ?? 0);
  });

  test("does not save up what was not taken", async () => {
    const { db } = instance();
    await takeCall(db, 120);
    await pass(3_600_000);

    const waits = await Promise.all(
      Array.from({ length: 10 }, () => takeCall(db, 120)),
    );

    expect(waits.filter((waitMs) => waitMs === 0)).toHaveLength(3);
  });

  test("has no upper bound", async () => {
    const { db } = instance();

    const waits = [];
    for (let call = 0; call < 20; call += 1)
      waits.push(await takeCall(db, Number.MAX_SAFE_INTEGER));

    expect(new Set(waits)).toEqual(new Set([0]));
  });

  test("is not blocked by a time that a clock has set which was put back since", async () => {
    const { db } = instance();
    await change(
      "emptied_at = now() + interval '1 day', closed_until = now() + interval '1 day'",
    );

    expect(await takeCall(db, 120)).toBe(0);
    await takeCall(db, 120);
    await takeCall(db, 120);
    expect(await takeCall(db, 120)).toBeGreaterThan(0);
  });

  test("is not blocked by a smaller allowance of before", async () => {
    const { db } = instance();
    await takeCall(db, 1);

    expect(await takeCall(db, 1)).toBeGreaterThan(50_000);
    expect(await takeCall(db, 6_000)).toBe(0);
  });
});

describe("a budget that UQPAY has closed", () => {
  test("gives nobody a call before its time, and then as ever", async () => {
    await closeBudget(instance().db, 10_000);
    const other = instance().db;

    const waitMs = await takeCall(other, 120);
    expect(waitMs).toBeGreaterThan(9_000);
    expect(waitMs).toBeLessThanOrEqual(10_000);

    await pass(waitMs);
    expect(await takeCall(other, 120)).toBe(0);
  });

  test("stays closed for the longest of all pauses", async () => {
    const { db } = instance();
    await closeBudget(db, 20_000);
    await closeBudget(db, 1_000);

    expect(await takeCall(db, 120)).toBeGreaterThan(19_000);

    await closeBudget(db, 40_000);
    expect(await takeCall(db, 120)).toBeGreaterThan(39_000);
  });

  test("opens after some minutes, whatever was asked for", async () => {
    const { db } = instance();

    await closeBudget(db, 86_400_000);

    const waitMs = await takeCall(db, 120);
    expect(waitMs).toBeGreaterThan(290_000);
    expect(waitMs).toBeLessThanOrEqual(300_000);
  });
});

describe("two instances that ask one UQPAY", () => {
  test("both stop for the 429 that one of them got, and never exceed the allowance together", async () => {
    // Two seconds before the end of a minute by UQPAY's clock.
    const startedAt = Date.now();
    const calledAt: number[] = [];
    const simulator = await createSimulator({
      secret: "whsec_nobody_listens",
      nowMs: () => 1_800_000_058_000 + Date.now() - startedAt,
      tell: () => calledAt.push(performance.now()),
    });
    const apis = [instance(), instance()].map(({ db }) =>
      createUqpayApi({
        baseUrl: simulator.apiBaseUrl,
        clientId: simulator.clientId,
        apiKey: simulator.apiKey,
        budget: {
          take: () => takeCall(db, 1_200),
          closeFor: (pauseMs) => closeBudget(db, pauseMs),
        },
        nowMs: Date.now,
        random: Math.random,
        retry: { maxAttempts: 3, firstDelayMs: 1, maxDelayMs: 1 },
      }),
    );
    const [one, other] = [apis[0]!, apis[1]!];
    await other.listCards(1);
    simulator.faults.next("rate-limited");

    const limited = one.listCards(1);
    while (calledAt.length < 2) await sleep(5);
    await sleep(100);
    await Promise.all([
      limited,
      ...Array.from({ length: 30 }, () => other.listCards(1)),
    ]);
    await simulator.stop();

    const [, refusedAt = 0, ...later] = calledAt;
    expect(Math.min(...later) - refusedAt).toBeGreaterThan(500);
    // One each 50 ms, and three at once.
    const lastedMs = Math.max(...later) - Math.min(...later);
    expect(later).toHaveLength(31);
    expect(lastedMs).toBeGreaterThan(27 * 50);
  });
});

test("the budget has one row, which cannot become two", async () => {
  const { pool } = instance();

  await expect(
    pool.query("insert into api_budget (is_only) values (false)"),
  ).rejects.toThrow("api_budget_has_one_row");
  await expect(
    pool.query("insert into api_budget default values"),
  ).rejects.toThrow("api_budget_pkey");
});
