import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { loadConfig } from "../../src/config.ts";
import { pruneBodies, retentionLimit } from "../../src/operate/prune.ts";
import { replayEvent, replayQuarantined } from "../../src/operate/replay.ts";
import type { Database } from "../../src/store/database.ts";
import { countOldBodies, dropOldBodies } from "../../src/store/retention.ts";
import {
  aStatusUpdate,
  anMccDecline,
  anOtp,
  deliver,
} from "../support/deliveries.ts";
import type { Payload } from "../support/fixtures.ts";
import type { TestService } from "../support/service.ts";
import { startTestService } from "../support/service.ts";
import { openStore } from "../support/store.ts";

let service: TestService;
let db: Database;

beforeAll(async () => {
  service = await startTestService({ queue: "postgres" });
  ({ db } = openStore(service.databaseUrl));
});

afterAll(async () => {
  await db.destroy();
  await service.stop();
});

const DAY_MS = 86_400_000;
const limit = () => new Date(Date.now() - 30 * DAY_MS);
const prune = () => pruneBodies(db, limit(), { pauseMs: 0 });

async function stored(event: Payload): Promise<Payload> {
  const answer = await deliver(service, event);
  expect(answer.status).toBe(200);
  await service.untilApplied();
  return event;
}

/** As if so many days had passed since it came. */
async function age(event: Payload, days: number): Promise<void> {
  for (const table of ["webhook_events", "quarantined_events"])
    await service.rows(
      `update ${table} set received_at = received_at - make_interval(days => $2) where event_id = $1`,
      [event.event_id, days],
    );
}

const inboxRow = async ({ event_id }: Payload) =>
  (
    await service.rows("select * from webhook_events where event_id = $1", [
      event_id,
    ])
  )[0];

describe("retention", () => {
  test("does nothing in an empty database", async () => {
    expect(await countOldBodies(db, limit())).toEqual({
      events: 0,
      quarantined: 0,
    });
    expect(await prune()).toEqual({ events: 0, quarantined: 0 });
  });

  test("drops the body of an old event and nothing else of it", async () => {
    const event = await stored(aStatusUpdate());
    await age(event, 31);
    const before = await inboxRow(event);

    const counted = await countOldBodies(db, limit());
    const dropped = await prune();

    expect(counted).toEqual({ events: 1, quarantined: 0 });
    expect(dropped).toEqual(counted);
    expect(await inboxRow(event)).toEqual({ ...before, body: null });
  });

  test("leaves the body of an event that is younger", async () => {
    const event = await stored(aStatusUpdate());
    await age(event, 29);

    expect(await prune()).toEqual({ events: 0, quarantined: 0 });
    expect(await inboxRow(event)).toMatchObject({
      body: JSON.stringify(event),
    });
  });

  test("leaves cards and authorizations as they are", async () => {
    const event = await stored(anMccDecline());
    await age(event, 31);
    const rows = () =>
      service.rows("select * from mcc_declines where event_id = $1", [
        event.event_id,
      ]);
    const before = await rows();

    await prune();

    expect(before).toHaveLength(1);
    expect(await rows()).toEqual(before);
  });

  test("keeps the deduplication: a redelivery is a duplicate for ever, and another content a conflict", async () => {
    const event = await stored(aStatusUpdate({ card_status: "FROZEN" }));
    await age(event, 4_000);
    await prune();

    const again = await deliver(service, event);
    const other = await deliver(service, {
      ...event,
      data: { ...event.data, card_status: "ACTIVE" },
    });

    expect(again.body).toMatchObject({ status: "duplicate" });
    expect(other.body).toMatchObject({ status: "duplicate" });
    expect(
      await service.rows(
        "select reason from quarantined_events where event_id = $1",
        [event.event_id],
      ),
    ).toEqual([{ reason: "event_id_conflict" }]);
    expect(
      await service.rows("select card_status from cards where card_id = $1", [
        event.data["card_id"],
      ]),
    ).toEqual([{ card_status: "FROZEN" }]);
  });

  test.each([
    ["received", "leaves what waits still, however old it is"],
    ["failed", "leaves what failed, since it may be replayed"],
  ])("(%s) %s", async (state) => {
    const event = await stored(aStatusUpdate());
    // Waits for longer than this test takes.
    await service.rows(
      "update webhook_events set state = $2, last_error = 'x', hinted_at = now() + interval '1 hour' where event_id = $1",
      [event.event_id, state],
    );
    await age(event, 400);

    await prune();

    expect(await inboxRow(event)).toMatchObject({
      body: JSON.stringify(event),
    });
    await service.rows(
      "update webhook_events set state = 'processed', last_error = null where event_id = $1",
      [event.event_id],
    );
    expect(await prune()).toMatchObject({ events: 1 });
  });

  test("drops the body of an event that was ignored", async () => {
    const event = await stored({
      ...aStatusUpdate(),
      event_type: "card.something.new",
    });
    await age(event, 31);

    await prune();

    expect(await inboxRow(event)).toMatchObject({
      state: "ignored",
      body: null,
    });
  });

  test("has nothing to drop of a sensitive event", async () => {
    const event = await stored(anOtp());
    await age(event, 31);

    expect(await countOldBodies(db, limit())).toMatchObject({ events: 0 });
  });

  test("keeps an open quarantined delivery, and drops the body of one that was dealt with so long ago", async () => {
    const event = { ...aStatusUpdate(), data: { card_id: randomUUID() } };
    await deliver(service, event);
    await age(event, 400);
    const bodies = () =>
      service.rows(
        "select body is null as is_gone from quarantined_events where event_id = $1",
        [event.event_id],
      );
    const resolve = (days: number) =>
      service.rows(
        "update quarantined_events set resolution = 'dismissed: a test', resolved_at = now() - make_interval(days => $2) where event_id = $1",
        [event.event_id, days],
      );

    expect(await prune()).toMatchObject({ quarantined: 0 });
    expect(await bodies()).toEqual([{ is_gone: false }]);

    await resolve(29);
    expect(await prune()).toMatchObject({ quarantined: 0 });

    await resolve(31);
    expect(await countOldBodies(db, limit())).toMatchObject({ quarantined: 1 });
    expect(await prune()).toMatchObject({ quarantined: 1 });
    expect(await bodies()).toEqual([{ is_gone: true }]);
  });

  test("takes the oldest first, no more than it is asked to", async () => {
    const events = await Promise.all(
      Array.from({ length: 5 }, () => stored(aStatusUpdate())),
    );
    for (const [index, event] of events.entries()) await age(event, 40 + index);

    const dropped = await dropOldBodies(db, limit(), 2);

    const kept = await Promise.all(events.map(inboxRow));
    expect(dropped).toBe(2);
    expect(kept.map((row) => row?.["body"] === null)).toEqual([
      false,
      false,
      false,
      true,
      true,
    ]);
    expect(await prune()).toMatchObject({ events: 3 });
  });

  test("passes over a row that another transaction holds, and does not wait for it", async () => {
    const event = await stored(aStatusUpdate());
    await age(event, 31);

    await db.transaction().execute(async (trx) => {
      await trx
        .selectFrom("webhook_events")
        .select("event_id")
        .where("event_id", "=", event.event_id)
        .forUpdate()
        .execute();
      expect(await prune()).toMatchObject({ events: 0 });
    });

    expect(await prune()).toMatchObject({ events: 1 });
  });

  test("by two at once drops each body once", async () => {
    const events = await Promise.all(
      Array.from({ length: 20 }, () => stored(aStatusUpdate())),
    );
    for (const event of events) await age(event, 31);

    const counts = await Promise.all([
      dropOldBodies(db, limit(), 15),
      dropOldBodies(db, limit(), 15),
    ]);
    const rest = await prune();

    expect(counts.reduce((sum, count) => sum + count, rest.events)).toBe(20);
  });

  test("leaves nothing to replay, and says so", async () => {
    const event = await stored(aStatusUpdate());
    const broken = { ...aStatusUpdate(), data: { card_id: randomUUID() } };
    await deliver(service, broken);
    await age(event, 31);
    await service.rows(
      "update quarantined_events set resolution = 'dismissed: a test', resolved_at = now() - interval '31 days' where event_id = $1",
      [broken.event_id],
    );
    const [kept] = await service.rows(
      "select id from quarantined_events where event_id = $1",
      [broken.event_id],
    );
    await prune();

    expect(await replayEvent(db, event.event_id, false)).toEqual({
      kind: "no-body",
    });
    expect(await replayQuarantined(db, String(kept?.["id"]), false)).toEqual({
      kind: "no-body",
    });
    expect(await inboxRow(event)).toMatchObject({
      state: "processed",
      attempts: 1,
    });
  });
});

describe("pruning", () => {
  const storeOld = (count: number) =>
    service.rows(
      `insert into webhook_events (event_id, event_type, body, body_sha256, signed_at, received_at, state)
       select gen_random_uuid(), 'x', '{}', '\\x00', now(), now() - interval '1 year', 'ignored'
       from generate_series(1, $1) n`,
      [count],
    );

  test("goes batch by batch of a bounded size until nothing is left", async () => {
    await prune();
    await storeOld(2_001);
    const batches: number[] = [];

    const counts = await pruneBodies(db, limit(), {
      pauseMs: 0,
      onDropped: (count) => batches.push(count),
    });

    expect(counts).toEqual({ events: 2_001, quarantined: 0 });
    expect(batches).toEqual([1_000, 1_000, 1, 0]);
  });

  test("ends after the batch under way once it is told to stop", async () => {
    await storeOld(2_000);
    const stopping = new AbortController();

    const counts = await pruneBodies(db, limit(), {
      pauseMs: 0,
      signal: stopping.signal,
      onDropped: () => {
        stopping.abort();
      },
    });

    expect(counts).toEqual({ events: 1_000, quarantined: 0 });
    expect(await prune()).toMatchObject({ events: 1_000 });
  });

  test("drops what came so many times 24 hours ago", () => {
    const nowMs = Date.parse("2026-04-12T10:00:00Z");

    expect(retentionLimit(30, nowMs)).toEqual(
      new Date("2026-03-13T10:00:00.000Z"),
    );
  });
});

describe("the service", () => {
  test("answers as fast while bodies are dropped as without", async () => {
    await service.rows(
      `insert into webhook_events (event_id, event_type, body, body_sha256, signed_at, received_at, state)
       select 'old-' || n, 'x', repeat('x', 1000), '\\x00', now(), now() - interval '1 year', 'ignored'
       from generate_series(1, 20000) n`,
    );
    const timesOf = async (whileRunning: () => boolean) => {
      const times: number[] = [];
      do {
        const startedAt = performance.now();
        await deliver(service, aStatusUpdate());
        times.push(performance.now() - startedAt);
      } while (whileRunning() || times.length < 20);
      return times.toSorted((a, b) => a - b);
    };
    const median = (times: readonly number[]) =>
      times[Math.floor(times.length / 2)] ?? NaN;

    const quiet = await timesOf(() => false);
    let isPruning = true;
    const pruning = prune().finally(() => {
      isPruning = false;
    });
    const busy = await timesOf(() => isPruning);

    expect(await pruning).toMatchObject({ events: 20_000 });
    // One batch of 1,000 takes some tens of milliseconds; all of it in one transaction would take seconds.
    expect(median(busy)).toBeLessThan(median(quiet) * 4 + 250);
    await service.untilApplied(30_000);
  }, 60_000);

  test("takes the number of days from RETENTION_DAYS, and keeps all without it", () => {
    expect(loadConfig({ RETENTION_DAYS: "30" }).retentionDays).toBe(30);
    expect(loadConfig({}).retentionDays).toBeUndefined();
  });
});
