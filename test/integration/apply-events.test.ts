import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import pg from "pg";
import { createEventQueue } from "../../src/queue/event-queue.ts";
import type { EventQueue } from "../../src/queue/event-queue.ts";
import type { ReconcileOptions } from "../../src/apply-events.ts";
import {
  reconcileEvents,
  takeBackOwedAttempts,
} from "../../src/apply-events.ts";
import { sweepStalled } from "../../src/sweep-stalled.ts";
import type { Database } from "../../src/store/database.ts";
import { recordEvents } from "../../src/store/inbox.ts";
import { takeStalledEvents } from "../../src/store/waiting-events.ts";
import { aStatusUpdate } from "../support/deliveries.ts";
import type { Payload } from "../support/fixtures.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { waitFor } from "../support/wait-for.ts";
import type { Reader, TestService } from "../support/service.ts";
import { openReader, startTestService } from "../support/service.ts";
import { inboxEntryOf, openStore, reconcileOptions } from "../support/store.ts";

const idsOf = (events: readonly Payload[]) =>
  events.map(({ event_id }) => event_id);

let database: TestDatabase;
let reader: Reader;
let db: Database;
let options: ReconcileOptions;

beforeAll(async () => {
  database = await createTestDatabase();
  reader = openReader(database.url);
  ({ db } = openStore(database.url, {
    applicationName: "reconcile.test",
  }));
  options = reconcileOptions(db);
});

afterAll(async () => {
  await db.destroy();
  await reader.close();
  await database.drop();
});

async function record(...events: readonly Payload[]): Promise<string[]> {
  await recordEvents(
    db,
    events.map((event) => inboxEntryOf(event)),
  );
  return idsOf(events);
}

/** Somebody else holds the table all the while; `impatient` waits 50 ms for it. */
async function whileCardsAreLocked<Result>(
  work: (impatient: ReconcileOptions) => Promise<Result>,
): Promise<Result> {
  const store = openStore(database.url, { lockTimeoutMs: 50 });
  const holder = new pg.Client({ connectionString: database.url });
  await holder.connect();
  try {
    await holder.query("begin; lock table cards in access exclusive mode");
    return await work(reconcileOptions(store.db));
  } finally {
    await holder.end();
    await store.close();
  }
}

/** What a release without this event's handler, or a hand in the database, would leave behind. */
async function spoil(eventId: string, body: string): Promise<void> {
  await reader.rows("update webhook_events set body = $2 where event_id = $1", [
    eventId,
    body,
  ]);
}

async function inboxRow(eventId: string) {
  const [row] = await reader.rows(
    "select * from webhook_events where event_id = $1",
    [eventId],
  );
  return row;
}

describe("reconciling", () => {
  test("nothing does nothing", async () => {
    const outcome = await reconcileEvents([], options);

    expect(outcome).toEqual({ reconciled: [], failed: [] });
  });

  test("an unknown event does nothing", async () => {
    const outcome = await reconcileEvents([randomUUID()], options);

    expect(outcome).toEqual({ reconciled: [], failed: [] });
  });

  test("an event that is processed is not applied again", async () => {
    const event = aStatusUpdate();
    const ids = await record(event);
    await reconcileEvents(ids, options);
    await reader.rows(
      "update cards set card_status = 'TOUCHED' where card_id = $1",
      [event.data["card_id"]],
    );

    const again = await reconcileEvents([...ids, ...ids], options);
    const alone = await reconcileEvents(ids, options, true);

    expect(again.reconciled).toEqual([]);
    expect(alone.reconciled).toEqual([]);
    expect(await inboxRow(event.event_id)).toMatchObject({
      state: "processed",
      attempts: 1,
    });
    const [card] = await reader.rows(
      "select card_status from cards where card_id = $1",
      [event.data["card_id"]],
    );
    expect(card).toEqual({ card_status: "TOUCHED" });
  });

  test("an event that cannot be applied does not hold its neighbours", async () => {
    const events = [aStatusUpdate(), aStatusUpdate(), aStatusUpdate()];
    const [before, poison, after] = await record(...events);
    await spoil(poison ?? "", JSON.stringify({ canary: "4096360812348664" }));

    const outcome = await reconcileEvents(idsOf(events), options);

    expect(outcome.reconciled.map(({ eventId }) => eventId)).toEqual([
      before,
      after,
    ]);
    expect(outcome.failed).toEqual([
      {
        eventId: poison,
        cardId: expect.any(String),
        error: expect.any(String),
        retryInMs: 750,
        counts: true,
      },
    ]);
    const row = await inboxRow(poison ?? "");
    expect(row).toMatchObject({ state: "received", attempts: 1 });
    expect(row?.["last_error"]).toMatch(/no longer/);
    expect(row?.["last_error"]).not.toContain("canary");
  });

  test.each([
    ["no JSON, with a canary 4096360812348664", "syntax"],
    ['"canary 4096360812348664"', "shape"],
  ])("the error of %s says nothing of its value", async (body) => {
    const [eventId = ""] = await record(aStatusUpdate());
    await spoil(eventId, body);

    await reconcileEvents([eventId], options);

    const row = await inboxRow(eventId);
    expect(row?.["last_error"]).toEqual(expect.any(String));
    expect(row?.["last_error"]).not.toMatch(/canary|4096/);
  });

  test("it is tried again ever later, ends failed with its reason, and then rests", async () => {
    const [eventId = ""] = await record(aStatusUpdate());
    await spoil(eventId, "{}");

    const delays: unknown[] = [];
    for (let attempt = 1; attempt <= options.retry.maxAttempts; attempt++) {
      const { failed } = await reconcileEvents([eventId], options);
      delays.push(failed[0]?.retryInMs);
    }
    const afterwards = await reconcileEvents([eventId], options, true);

    expect(delays).toEqual([750, 1_500, undefined]);
    expect(afterwards).toEqual({ reconciled: [], failed: [] });
    expect(await inboxRow(eventId)).toMatchObject({
      state: "failed",
      attempts: 3,
      last_error: expect.stringContaining("no longer valid"),
      processed_at: null,
    });
    expect(
      (await takeStalledEvents(db, -3_600_000, undefined, 200)).map(
        (event) => event.eventId,
      ),
    ).not.toContain(eventId);
  });

  test("an event that ended the process as often as it may is given up without another try", async () => {
    const [eventId = ""] = await record(aStatusUpdate());
    await reader.rows(
      "update webhook_events set attempts = 3 where event_id = $1",
      [eventId],
    );

    const outcome = await reconcileEvents([eventId], options, true);

    expect(outcome.reconciled).toEqual([]);
    expect(await inboxRow(eventId)).toMatchObject({
      state: "failed",
      attempts: 3,
      last_error: "the process ended while it worked on this event",
    });
  });

  test("rows that another transaction holds are waited for, and applied once", async () => {
    const event = aStatusUpdate();
    const ids = await record(event);
    const holder = new pg.Client({ connectionString: database.url });
    await holder.connect();
    await holder.query("begin");
    await holder.query(
      "select 1 from webhook_events where event_id = $1 for update",
      ids,
    );

    // Two processes: each has turns of its own.
    const both = [1, 2].map(() => reconcileEvents(ids, reconcileOptions(db)));
    await untilWaiting(2);
    await holder.query("commit");
    await holder.end();
    const outcomes = await Promise.all(both);

    expect(outcomes.flatMap(({ reconciled }) => reconciled)).toHaveLength(1);
    expect(outcomes.flatMap(({ failed }) => failed)).toEqual([]);
    expect(await inboxRow(event.event_id)).toMatchObject({ attempts: 1 });
  });

  test("an event at fault costs its 199 neighbours a few transactions, not one each", async () => {
    const events = Array.from({ length: 200 }, () => aStatusUpdate());
    const ids = await record(...events);
    await spoil(ids[77] ?? "", "{}");
    let transactions = 0;

    const outcome = await reconcileEvents(ids, {
      ...options,
      checkpoint: (moment) => {
        if (moment === "applying") transactions++;
      },
    });

    expect(outcome.reconciled).toHaveLength(199);
    expect(outcome.failed.map(({ eventId }) => eventId)).toEqual([ids[77]]);
    // Two for each of the eight halvings, the first and the last attempt.
    expect(transactions).toBeLessThanOrEqual(18);
  });

  test("a process that stops leaves the search for the event at fault to others", async () => {
    const ids = await record(aStatusUpdate(), aStatusUpdate());
    await spoil(ids[0] ?? "", "{}");
    const signal = AbortSignal.abort();

    const together = await reconcileEvents(ids, { ...options, signal });
    const oneByOne = await reconcileEvents(ids, { ...options, signal }, true);

    expect([together, oneByOne]).toEqual([
      { reconciled: [], failed: [] },
      { reconciled: [], failed: [] },
    ]);
    expect(await inboxRow(ids[1] ?? "")).toMatchObject({
      state: "received",
      attempts: 0,
    });
  });

  test.each([
    ["together", false],
    ["one by one", true],
  ])(
    "events whose table somebody locks for long are not given up, %s",
    async (_, oneByOne) => {
      const ids = await record(aStatusUpdate(), aStatusUpdate());
      const errors: unknown[] = [];
      const rows = await whileCardsAreLocked(async (impatient) => {
        for (let time = 0; time < options.retry.maxAttempts + 1; time++) {
          await reconcileEvents(ids, impatient, oneByOne).catch(
            (error: unknown) => errors.push(error),
          );
        }
        return Promise.all(ids.map(inboxRow));
      });
      const afterwards = await reconcileEvents(ids, options, oneByOne);

      expect(errors).toHaveLength(options.retry.maxAttempts + 1);
      expect(rows).toEqual(
        ids.map(() =>
          expect.objectContaining({ state: "received", attempts: 0 }),
        ),
      );
      // Only what was tried by itself says why it still waits.
      expect(rows[0]?.["last_error"] ?? null).toBe(
        oneByOne
          ? "PostgreSQL 55P03: canceling statement due to lock timeout"
          : null,
      );
      expect(afterwards.reconciled).toHaveLength(2);
    },
  );

  test.each([
    ["together", false],
    ["one by one", true],
  ])(
    "what came of the first events is told when the database fails the next, %s",
    async (_, oneByOne) => {
      const ids = await record(aStatusUpdate(), aStatusUpdate());
      await spoil(ids[0] ?? "", "{}");
      const outcome = await whileCardsAreLocked((impatient) =>
        reconcileEvents(ids, impatient, oneByOne),
      );

      expect(outcome.reconciled).toEqual([]);
      expect(outcome.failed.map(({ eventId }) => eventId)).toEqual([ids[0]]);
      expect(String(outcome.interruptedBy)).toMatch(/lock timeout/);
      expect(await inboxRow(ids[1] ?? "")).toMatchObject({
        state: "received",
        attempts: 0,
      });
    },
  );

  test("a transaction that dies after its work leaves nothing of it", async () => {
    const event = aStatusUpdate();
    const ids = await record(event);
    const holder = new pg.Client({ connectionString: database.url });
    await holder.connect();
    await holder.query("begin");
    await holder.query("lock table transactions, cards in exclusive mode");

    const outcome = reconcileEvents(ids, options);
    await untilWaiting(1);
    await reader.rows(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'reconcile.test' and wait_event_type = 'Lock'`,
    );
    await holder.query("commit");
    await holder.end();
    await outcome;

    expect(await inboxRow(event.event_id)).toMatchObject({
      state: "processed",
    });
    expect(
      await reader.rows("select 1 from cards where card_id = $1", [
        event.data["card_id"],
      ]),
    ).toHaveLength(1);
  });

  async function untilWaiting(count: number): Promise<void> {
    await waitFor(
      async () => {
        const rows = await reader.rows(
          `select 1 from pg_stat_activity
           where application_name = 'reconcile.test' and wait_event_type = 'Lock'`,
        );
        return rows.length >= count;
      },
      { what: "somebody to wait for a lock" },
    );
  }
});

describe("an event that PostgreSQL refuses", () => {
  /** Refuses to write the row of one card, and of no other. */
  async function refuse(cardId: unknown, state: string): Promise<void> {
    await reader.rows(`
      create or replace function refuse() returns trigger language plpgsql as $$
      begin raise exception 'refused' using errcode = '${state}'; end $$`);
    await reader.rows("drop trigger if exists refuse on cards");
    await reader.rows(
      `create trigger refuse before insert on cards for each row
       when (new.card_id = '${String(cardId)}') execute function refuse()`,
    );
  }

  afterAll(async () => {
    await reader.rows("drop trigger refuse on cards");
  });

  test.each(["22003", "23514", "54000"])(
    "for its data (%s) is given up after its attempts",
    async (state) => {
      const event = aStatusUpdate();
      const ids = await record(event);
      await refuse(event.data["card_id"], state);

      for (let time = 0; time < options.retry.maxAttempts; time++)
        await reconcileEvents(ids, options);

      expect(await inboxRow(event.event_id)).toMatchObject({
        state: "failed",
        attempts: 3,
        last_error: `PostgreSQL ${state}: refused`,
      });
    },
  );

  test.each([
    "0A000",
    "21000",
    "25006",
    "28000",
    "3D000",
    "42501",
    "42703",
    "42P01",
    "53100",
    "53200",
    "57014",
    "57P01",
    "P0001",
    "XX000",
  ])(
    "for what no data can cause (%s) waits, loses no attempt and is applied in the end",
    async (state) => {
      const event = aStatusUpdate();
      const ids = await record(event);
      await refuse(event.data["card_id"], state);

      for (let time = 0; time < options.retry.maxAttempts + 1; time++)
        for (const oneByOne of [false, true])
          await reconcileEvents(ids, options, oneByOne).catch(() => undefined);
      const row = await inboxRow(event.event_id);
      await reader.rows("drop trigger refuse on cards");
      const { reconciled } = await reconcileEvents(ids, options);

      expect(row).toMatchObject({
        state: "received",
        attempts: 0,
        last_error: `PostgreSQL ${state}: refused`,
      });
      expect(reconciled).toHaveLength(1);
      await refuse("nobody", state);
    },
  );

  test("for a reason that may be its own does not hold its neighbours, and is tried again ever later", async () => {
    const events = Array.from({ length: 20 }, () => aStatusUpdate());
    const ids = await record(...events);
    const poison = events[7];
    await refuse(poison?.data["card_id"], "57014");

    const first = await reconcileEvents(ids, options);
    await reader.rows(
      "update webhook_events set received_at = now() - interval '1 minute' where event_id = $1",
      [poison?.event_id],
    );
    const later = await reconcileEvents(ids, options);

    expect(first.reconciled).toHaveLength(19);
    expect(first.interruptedBy).toBeUndefined();
    const failed = {
      eventId: poison?.event_id,
      cardId: poison?.data["card_id"],
      error: "PostgreSQL 57014: refused",
      counts: false,
    };
    expect(first.failed).toEqual([{ ...failed, retryInMs: 750 }]);
    expect(later.failed).toEqual([
      { ...failed, retryInMs: expect.closeTo(22_500, -3) as unknown },
    ]);
  });

  test("is a mistake of ours when our code fails on it: it waits, with the reason, beside neighbours that are applied", async () => {
    const [before, poison, after] = await record(
      aStatusUpdate(),
      aStatusUpdate(),
      aStatusUpdate(),
    );
    const failing: ReconcileOptions = {
      ...options,
      checkpoint: (moment, ids) => {
        if (moment === "applying" && ids.includes(poison ?? ""))
          throw new RangeError("Invalid time value");
      },
    };
    const ids = [before ?? "", poison ?? "", after ?? ""];

    for (let time = 0; time < options.retry.maxAttempts + 1; time++)
      await reconcileEvents(ids, failing);

    expect(await inboxRow(poison ?? "")).toMatchObject({
      state: "received",
      attempts: 0,
      last_error: "Invalid time value",
    });
    for (const id of [before, after])
      expect(await inboxRow(id ?? "")).toMatchObject({ state: "processed" });
  });

  test("with all the others for one reason costs a few transactions, and not some for each", async () => {
    const ids = await record(
      ...Array.from({ length: 200 }, () => aStatusUpdate()),
    );
    let transactions = 0;
    await reader.rows("alter table cards rename to plastics");

    const outcome = await reconcileEvents(ids, {
      ...options,
      checkpoint: (moment) => {
        if (moment === "applying") transactions++;
      },
    });
    await reader.rows("alter table plastics rename to cards");
    const afterwards = await reconcileEvents(ids, options);

    expect(outcome.reconciled).toEqual([]);
    expect(String(outcome.interruptedBy)).toContain("does not exist");
    expect(transactions).toBeLessThanOrEqual(25);
    expect(afterwards.reconciled).toHaveLength(200);
  });

  test("by a schema that a newer release has changed loses no attempt, whatever the reason", async () => {
    const event = aStatusUpdate();
    const ids = await record(event);
    await refuse(event.data["card_id"], "23502");
    const isSchemaKnown = () => Promise.resolve(false);

    for (let time = 0; time < options.retry.maxAttempts + 1; time++)
      await reconcileEvents(ids, { ...options, isSchemaKnown }, true);

    expect(await inboxRow(event.event_id)).toMatchObject({
      state: "received",
      attempts: 0,
    });
  });

  test("has its attempt taken back when the database is there again that went in the middle of it", async () => {
    const event = aStatusUpdate();
    const ids = await record(event);
    const store = openStore(database.url);
    const own = reconcileOptions(store.db, {
      checkpoint: (moment) => {
        if (moment !== "applying") return;
        void store.close();
        throw new Error("the pool has ended");
      },
    });

    await expect(reconcileEvents(ids, own, true)).rejects.toThrow();
    const before = await inboxRow(event.event_id);
    await takeBackOwedAttempts({ db, owed: own.owed });

    expect(before).toMatchObject({ attempts: 1 });
    expect(await inboxRow(event.event_id)).toMatchObject({
      state: "received",
      attempts: 0,
      last_error: "the pool has ended",
    });
    expect(own.owed.size).toBe(0);
  });
});

describe("a database that keeps another time zone", () => {
  test.each(["Asia/Shanghai", "America/Los_Angeles", "Asia/Kathmandu"])(
    "of %s, gives the same rows, whatever times they hold",
    async (zone) => {
      const local = await createTestDatabase();
      const localReader = openReader(local.url);
      await localReader.rows(
        `alter database ${new URL(local.url).pathname.slice(1)} set timezone = '${zone}'`,
      );
      const localStore = openStore(local.url);
      const card_id = randomUUID();
      const events = [
        ["1800-01-01T00:00:00.123456Z", "ACTIVE"],
        ["0001-01-02T00:00:00Z", "FROZEN"],
        ["2026-04-12T10:00:00+08:00", "BLOCKED"],
      ].map(([update_time, card_status]) =>
        aStatusUpdate({ card_id, update_time, card_status }),
      );

      const failures: unknown[] = [];
      for (const event of events) {
        await recordEvents(localStore.db, [inboxEntryOf(event)]);
        const { failed } = await reconcileEvents(
          [event.event_id],
          reconcileOptions(localStore.db),
        );
        failures.push(...failed);
      }
      const rows = await localReader.rows(
        "select card_status, status_changed_at from cards",
      );
      await localStore.close();
      await localReader.close();
      await local.drop();

      expect(failures).toEqual([]);
      expect(rows).toEqual([
        { card_status: "BLOCKED", status_changed_at: "2026-04-12 02:00:00+00" },
      ]);
    },
  );
});

describe("the search for stalled events", () => {
  let own: TestDatabase;
  let ownDb: Database;
  let ownReader: Reader;
  let queue: EventQueue;

  beforeAll(async () => {
    own = await createTestDatabase();
    ownReader = openReader(own.url);
    ({ db: ownDb } = openStore(own.url));
    queue = createEventQueue(
      { kind: "postgres", url: own.url },
      { onError: () => undefined, onEviction: () => undefined },
    );
  });

  afterAll(async () => {
    await queue.close();
    await ownDb.destroy();
    await ownReader.close();
    await own.drop();
  });

  const jobIds = async () => {
    const rows = await ownReader.rows(
      "select data from bullmq.job where state = 'waiting' order by seq",
    );
    return rows.flatMap(
      (row) => (row["data"] as { eventIds: string[] }).eventIds,
    );
  };

  const sweep = () =>
    sweepStalled({
      db: ownDb,
      queue,
      apply: () => Promise.reject(new Error("the queue is there")),
      signal: AbortSignal.timeout(4_000),
    });

  test("does nothing on an empty inbox", async () => {
    expect(await sweep()).toEqual({ requeued: 0, reconciled: 0 });
    expect(await jobIds()).toEqual([]);
  });

  test("finds what was never hinted, once by two instances at once", async () => {
    const events = Array.from({ length: 450 }, () => aStatusUpdate());
    await recordEvents(
      ownDb,
      events.map((event) => inboxEntryOf(event)),
    );
    await ownReader.rows(
      "update webhook_events set received_at = now() - interval '1 minute'",
    );

    const [one, other] = await Promise.all([sweep(), sweep()]);

    const hinted = await jobIds();
    expect(hinted).toHaveLength(450);
    expect(new Set(hinted)).toEqual(new Set(idsOf(events)));
    expect(one.requeued + other.requeued).toBe(450);
  });

  test("adds nothing to a queue that is deep and alive, however often it looks", async () => {
    const before = await jobIds();
    await ownReader.rows(
      "update webhook_events set hinted_at = now() - interval '4 seconds'",
    );

    for (let times = 0; times < 5; times++) await sweep();

    expect(before.length).toBeGreaterThan(0);
    expect(await jobIds()).toEqual(before);
  });

  test("finds what lost its hint beside those that wait in the queue", async () => {
    const lost = aStatusUpdate();
    await recordEvents(ownDb, [inboxEntryOf(lost)]);
    await ownReader.rows(
      "update webhook_events set received_at = now() - interval '1 minute' where event_id = $1",
      [lost.event_id],
    );

    const counts = await sweep();

    expect(counts).toEqual({ requeued: 1, reconciled: 0 });
    expect((await jobIds()).filter((id) => id === lost.event_id)).toHaveLength(
      1,
    );
  });
});

describe("a search that takes longer than the grace of a hint", () => {
  test("hints at each event once all the same", async () => {
    const own = await createTestDatabase();
    const { pool: ownPool, db: ownDb } = openStore(own.url);
    const events = Array.from({ length: 450 }, () => aStatusUpdate());
    await recordEvents(
      ownDb,
      events.map((event) => inboxEntryOf(event)),
    );
    await ownPool.query(
      "update webhook_events set received_at = now() - interval '1 minute'",
    );
    const hinted: string[] = [];

    await sweepStalled({
      db: ownDb,
      queue: {
        oldestWaitingAt: () => Promise.resolve(undefined),
        enqueue: async ({ eventIds }) => {
          hinted.push(...eventIds);
          // As slow as a queue can be that still answers, in proportion to the grace.
          await sleep(60);
        },
      },
      apply: () => Promise.reject(new Error("the queue is there")),
      signal: AbortSignal.timeout(3_000),
      graceMs: 50,
    });
    await ownDb.destroy();
    await own.drop();

    expect(hinted).toHaveLength(450);
  });
});

describe("a running service", () => {
  let service: TestService;

  beforeAll(async () => {
    service = await startTestService({ queue: "postgres" });
  });

  afterAll(async () => {
    await service.stop();
  });

  test("applies an event that nobody hinted at, within its period and the grace of a hint", async () => {
    const own = openStore(service.databaseUrl);
    await recordEvents(own.db, [inboxEntryOf(aStatusUpdate())]);
    await own.close();

    await service.untilApplied(6_000);

    expect(await service.rows("select state from webhook_events")).toEqual([
      { state: "processed" },
    ]);
  });

  test("gives an event up after its attempts, beside others that are applied", async () => {
    const poison = aStatusUpdate();
    const own = openStore(service.databaseUrl);
    const neighbour = aStatusUpdate();
    await recordEvents(own.db, [
      { ...inboxEntryOf(poison), body: '{"event_id":"canary"}' },
      inboxEntryOf(neighbour),
    ]);
    await own.close();

    await service.untilApplied(20_000);

    const rows = await service.rows(
      "select event_id, state, attempts from webhook_events where event_id in ($1, $2)",
      [poison.event_id, neighbour.event_id],
    );
    expect(rows).toHaveLength(2);
    expect(rows).toEqual(
      expect.arrayContaining([
        { event_id: poison.event_id, state: "failed", attempts: 3 },
        { event_id: neighbour.event_id, state: "processed", attempts: 1 },
      ]),
    );
    expect(service.log()).toContain('"msg":"event given up"');
    expect(service.log()).not.toContain("canary");
  }, 25_000);
});
