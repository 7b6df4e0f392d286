import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import pg from "pg";
import { replayQuarantined } from "../../src/operate/replay.ts";
import { dropOldBodies } from "../../src/store/retention.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import {
  aCardUpdate,
  aStatusUpdate,
  anAuthorization,
  anOtp,
  deliver,
  sha256,
} from "../support/deliveries.ts";
import { ordersOf } from "../support/events.ts";
import type { Payload } from "../support/fixtures.ts";
import type { Row, TestService } from "../support/service.ts";
import {
  isAvailable,
  openReader,
  queueKinds,
  startTestService,
} from "../support/service.ts";
import { openStore } from "../support/store.ts";
import { waitFor } from "../support/wait-for.ts";

/** A copy of an event, and how many seconds ago it is signed. */
type Copy = readonly [event: Payload, age: number];

const STALE = 400;

/** All of one moment, so that ages are as exact as a test says them. */
async function deliverCopy(
  target: { readonly baseUrl: string },
  [event, age]: Copy,
  nowMs: number,
): Promise<number> {
  const { status } = await deliver(target, event, {
    atMs: nowMs - age * 1_000,
  });
  return status;
}

const secondsBefore = (nowMs: number, age: number) => nowMs - age * 1_000;

describe.each(queueKinds.filter(isAvailable))(
  "copies that are signed at different times, the queue on %s",
  (queue) => {
    let service: TestService;

    beforeAll(async () => {
      service = await startTestService({ queue });
    });

    afterAll(async () => {
      await service.stop();
    });

    const rowOf = async (table: string, key: string, id: unknown) =>
      (await service.rows(`select * from ${table} where ${key} = $1`, [id]))[0];
    const cardOf = ({ data }: Payload) =>
      rowOf("cards", "card_id", data["card_id"]);
    const signedMs = async (event: Payload) => {
      const row = await rowOf("webhook_events", "event_id", event.event_id);
      return Date.parse(String(row?.["signed_at"]));
    };
    const untilSigned = (event: Payload, atMs: number) =>
      waitFor(async () => (await signedMs(event)) === atMs, {
        what: `${event.event_type} to count as signed at ${String(atMs)}`,
      });

    /** One after the other is applied, and all at once. */
    const waysToDeliver: [
      string,
      (copies: readonly Copy[], nowMs: number) => Promise<void>,
    ][] = [
      [
        "each when the one before is applied",
        async (copies, nowMs) => {
          for (const copy of copies) {
            await deliverCopy(service, copy, nowMs);
            await service.untilApplied();
          }
        },
      ],
      [
        "all at once",
        async (copies, nowMs) => {
          await Promise.all(
            copies.map((copy) => deliverCopy(service, copy, nowMs)),
          );
          await service.untilApplied();
        },
      ],
    ];

    describe.each(waysToDeliver)("%s", (_, deliverAll) => {
      const orders = ordersOf([0, 1, 2]).map((order) => [order.join(", ")]);
      const inOrder = (order: string, copies: readonly Copy[]) =>
        order.split(", ").map((index) => copies[Number(index)] as Copy);

      test.each(orders)(
        "the limit is that of the update whose earliest copy was signed last (%s)",
        async (order) => {
          const a = aCardUpdate({ card_limit: "100" });
          const b = aCardUpdate({ ...a.data, card_limit: "900" });
          const nowMs = Date.now();

          await deliverAll(
            inOrder(order, [
              [a, 10],
              [b, 5],
              [a, 1],
            ]),
            nowMs,
          );

          await untilSigned(a, secondsBefore(nowMs, 10));
          expect(await cardOf(a)).toMatchObject({
            card_limit: "900",
            last_event_id: b.event_id,
          });
          expect(await signedMs(b)).toBe(secondsBefore(nowMs, 5));
        },
      );

      test.each(orders)(
        "of two statuses with one update_time that of the event whose earliest copy was signed last stands (%s)",
        async (order) => {
          const frozen = aStatusUpdate({ card_status: "FROZEN" });
          const active = aStatusUpdate({
            ...frozen.data,
            card_status: "ACTIVE",
          });
          const nowMs = Date.now();

          await deliverAll(
            inOrder(order, [
              [frozen, 10],
              [active, 5],
              [frozen, 1],
            ]),
            nowMs,
          );

          await untilSigned(frozen, secondsBefore(nowMs, 10));
          expect(await cardOf(frozen)).toMatchObject({ card_status: "ACTIVE" });
        },
      );

      test.each(orders)(
        "a transaction says what the event whose earliest copy was signed last says (%s)",
        async (order) => {
          const first = anAuthorization({
            transaction_amount: "1",
            transaction_time: undefined,
          });
          const second = anAuthorization({
            ...first.data,
            transaction_amount: "2",
          });
          const nowMs = Date.now();

          await deliverAll(
            inOrder(order, [
              [first, 10],
              [second, 5],
              [first, 1],
            ]),
            nowMs,
          );

          await untilSigned(first, secondsBefore(nowMs, 10));
          expect(
            await rowOf(
              "transactions",
              "transaction_id",
              first.data["transaction_id"],
            ),
          ).toMatchObject({
            transaction_amount: "2",
            event_id: second.event_id,
          });
        },
      );

      test.each(orders)(
        "a copy that is stale counts as the others do (%s)",
        async (order) => {
          const a = aCardUpdate({ card_limit: "100" });
          const b = aCardUpdate({ ...a.data, card_limit: "900" });
          const nowMs = Date.now();

          await deliverAll(
            inOrder(order, [
              [a, STALE],
              [b, 5],
              [a, 1],
            ]),
            nowMs,
          );

          await untilSigned(a, secondsBefore(nowMs, STALE));
          expect(await cardOf(a)).toMatchObject({ card_limit: "900" });
        },
      );
    });

    test("a transaction that two cards are told of is what the other card's event says, once that is the later one", async () => {
      const first = anAuthorization({
        transaction_amount: "1",
        transaction_time: undefined,
      });
      const second = anAuthorization({
        ...first.data,
        card_id: aCardUpdate().data["card_id"],
        transaction_amount: "2",
      });
      const nowMs = Date.now();
      for (const copy of [
        [first, 1],
        [second, 5],
      ] as const) {
        await deliverCopy(service, copy, nowMs);
        await service.untilApplied();
      }

      await deliverCopy(service, [first, 10], nowMs);

      await untilSigned(first, secondsBefore(nowMs, 10));
      expect(
        await rowOf(
          "transactions",
          "transaction_id",
          first.data["transaction_id"],
        ),
      ).toMatchObject({
        card_id: second.data["card_id"],
        transaction_amount: "2",
      });
    });

    test("a time that is after the signing falls back with it: nothing happens after it was signed for", async () => {
      const nowMs = Date.now();
      const event = aStatusUpdate({
        card_status: "PRE_CANCEL",
        update_time: new Date(nowMs + 60_000).toISOString(),
      });

      await deliverCopy(service, [event, 1], nowMs);
      await service.untilApplied();
      await deliverCopy(service, [event, 10], nowMs);

      await untilSigned(event, secondsBefore(nowMs, 10));
      const row = await cardOf(event);
      for (const column of [
        "status_changed_at",
        "cancel_requested_at",
        "first_seen_at",
        "last_event_at",
      ])
        expect(Date.parse(String(row?.[column]))).toBe(
          secondsBefore(nowMs, 10),
        );
    });

    test("twenty copies at once are as one that was signed when the earliest was, and every one is answered 200", async () => {
      const event = aCardUpdate({ card_limit: "100" });
      const nowMs = Date.now();

      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          deliverCopy(service, [event, 1 + ((index * 7) % 20)], nowMs),
        ),
      );

      expect(new Set(answers)).toEqual(new Set([200]));
      await untilSigned(event, secondsBefore(nowMs, 20));
    });

    test("a copy that is signed later changes no row", async () => {
      const event = aCardUpdate({ card_limit: "100" });
      const nowMs = Date.now();
      await deliverCopy(service, [event, 10], nowMs);
      await service.untilApplied();
      const everything = async () => [
        await service.rows("select xmin, * from cards where card_id = $1", [
          event.data["card_id"],
        ]),
        await service.rows(
          "select xmin, * from webhook_events where event_id = $1",
          [event.event_id],
        ),
        await service.rows("select count(*) from earlier_copies"),
      ];
      const before = await everything();

      await deliverCopy(service, [event, 1], nowMs);
      await deliverCopy(service, [event, 10], nowMs);
      await service.untilApplied();

      expect(await everything()).toEqual(before);
    });

    test("the event itself stays processed, once, and is as it was delivered", async () => {
      const event = aCardUpdate({ card_limit: "100" });
      const nowMs = Date.now();
      await deliverCopy(service, [event, 1], nowMs);
      await service.untilApplied();
      const before = await rowOf("webhook_events", "event_id", event.event_id);

      await deliverCopy(service, [event, 10], nowMs);
      await untilSigned(event, secondsBefore(nowMs, 10));

      const after = await rowOf("webhook_events", "event_id", event.event_id);
      expect({ ...after, signed_at: "" }).toEqual({ ...before, signed_at: "" });
      expect(before).toMatchObject({ state: "processed", attempts: 1 });
    });

    test.each([
      ["of a type without a handler", aStatusUpdate(), "card.something.new"],
      ["with a one-time password", anOtp(), "card.3ds.otp"],
    ])("an event %s counts as signed at once", async (_, event, event_type) => {
      const ignored = { ...event, event_type };
      const nowMs = Date.now();

      await deliverCopy(service, [ignored, 1], nowMs);
      await deliverCopy(service, [ignored, 10], nowMs);

      expect(await signedMs(ignored)).toBe(secondsBefore(nowMs, 10));
      await deliverCopy(service, [ignored, STALE], nowMs);
      expect(await signedMs(ignored)).toBe(secondsBefore(nowMs, STALE));
    });

    test("another content under the id of an event says nothing of when that was signed", async () => {
      const event = aCardUpdate({ card_limit: "100" });
      const other = { ...event, data: { ...event.data, card_limit: "1" } };
      const nowMs = Date.now();

      await deliverCopy(service, [other, STALE], nowMs);
      await deliverCopy(service, [event, 1], nowMs);
      await deliverCopy(service, [other, 10], nowMs);
      await service.untilApplied();

      expect(await signedMs(event)).toBe(secondsBefore(nowMs, 1));
      expect(await cardOf(event)).toMatchObject({ card_limit: "100" });
    });

    test("a copy whose header is no time says nothing of when the event was signed", async () => {
      const event = aCardUpdate({ card_limit: "100" });
      const nowMs = Date.now();
      const unreadable = () =>
        deliver(service, event, { atMs: "soon" as unknown as number });

      expect((await unreadable()).status).toBe(401);
      await deliverCopy(service, [event, 1], nowMs);
      await unreadable();
      await service.untilApplied();

      expect(await signedMs(event)).toBe(secondsBefore(nowMs, 1));
    });

    test("the quarantine keeps the earliest time at which a copy was signed", async () => {
      const event = aCardUpdate();
      const nowMs = Date.now();
      const kept = async () => {
        const row = await rowOf(
          "quarantined_events",
          "body_sha256",
          sha256(event),
        );
        return [row?.["deliveries"], Date.parse(String(row?.["signed_at"]))];
      };

      await deliver(service, event, { atMs: "soon" as unknown as number });
      await deliverCopy(service, [event, 500], nowMs);
      expect(await kept()).toEqual([2, secondsBefore(nowMs, 500)]);
      await deliverCopy(service, [event, 600], nowMs);
      await deliverCopy(service, [event, 500], nowMs);
      expect(await kept()).toEqual([4, secondsBefore(nowMs, 600)]);

      await Promise.all(
        [400, 700, 500].map((age) => deliverCopy(service, [event, age], nowMs)),
      );
      expect(await kept()).toEqual([7, secondsBefore(nowMs, 700)]);
    });

    test.each(
      ordersOf(["stale", "fresh", "replay"]).map((o) => [o.join(", ")]),
    )(
      "a stale copy that is replayed out of the quarantine counts as before (%s)",
      async (order) => {
        const a = aCardUpdate({ card_limit: "100" });
        const b = aCardUpdate({ ...a.data, card_limit: "900" });
        const nowMs = Date.now();
        const { db, close } = openStore(service.databaseUrl);
        const steps: Record<string, () => Promise<unknown>> = {
          stale: () => deliverCopy(service, [a, STALE], nowMs),
          fresh: () => deliverCopy(service, [a, 1], nowMs),
          replay: async () => {
            const [row] = await service.rows(
              "select id from quarantined_events where body_sha256 = $1",
              [sha256(a)],
            );
            if (row !== undefined)
              await replayQuarantined(db, String(row["id"]), false);
          },
        };
        await deliverCopy(service, [b, 5], nowMs);

        for (const step of order.split(", ")) {
          await steps[step]?.();
          await service.untilApplied();
        }
        await close();

        expect(await signedMs(a)).toBe(secondsBefore(nowMs, STALE));
        expect(await cardOf(a)).toMatchObject({ card_limit: "900" });
      },
    );

    test("an event whose body is gone is dated back, and what it said of the card with it", async () => {
      const old = aCardUpdate({ card_limit: "100", card_status: "PRE_CANCEL" });
      const other = aCardUpdate({
        card_id: old.data["card_id"],
        card_status: undefined,
        metadata: { a: "b" },
      });
      const nowMs = Date.now();
      await deliverCopy(service, [old, 1], nowMs);
      await deliverCopy(service, [other, 5], nowMs);
      await service.untilApplied();
      const { db, close } = openStore(service.databaseUrl);
      await service.rows(
        "update webhook_events set received_at = received_at - interval '2 days' where event_id = $1",
        [old.event_id],
      );
      await dropOldBodies(db, new Date(nowMs - 86_400_000), 1_000);
      await close();

      await deliverCopy(service, [old, 10], nowMs);

      await untilSigned(old, secondsBefore(nowMs, 10));
      const row = await cardOf(old);
      expect(row).toMatchObject({
        card_limit: "100",
        card_status: "PRE_CANCEL",
        metadata: { a: "b" },
        last_event_id: other.event_id,
      });
      for (const column of [
        "status_changed_at",
        "cancel_requested_at",
        "first_seen_at",
      ])
        expect(Date.parse(String(row?.[column]))).toBe(
          secondsBefore(nowMs, 10),
        );
    });

    test.each([
      [
        "the event",
        "select from webhook_events where event_id = $1 for update",
      ],
      [
        "the card",
        "select pg_advisory_xact_lock(hashtextextended('card ' || card_id, 0)) from webhook_events where event_id = $1",
      ],
    ])(
      "an answer does not wait for who holds %s, and nothing is lost",
      async (_, lock) => {
        const a = aCardUpdate({ card_limit: "100" });
        const b = aCardUpdate({ ...a.data, card_limit: "900" });
        const nowMs = Date.now();
        await deliverCopy(service, [a, 1], nowMs);
        await deliverCopy(service, [b, 5], nowMs);
        await service.untilApplied();
        const blocker = new pg.Client({
          connectionString: service.databaseUrl,
        });
        await blocker.connect();
        await blocker.query("begin");
        await blocker.query(lock, [a.event_id]);

        const answer = await deliver(service, a, {
          atMs: secondsBefore(nowMs, 10),
        });
        const stale = await deliverCopy(service, [a, STALE], nowMs);

        expect(answer).toMatchObject({
          status: 200,
          body: { status: "duplicate", event_id: a.event_id },
        });
        expect(stale).toBe(401);
        expect(await signedMs(a)).toBe(secondsBefore(nowMs, 1));
        expect(await cardOf(a)).toMatchObject({ card_limit: "100" });
        await blocker.query("commit");
        await blocker.end();
        await untilSigned(a, secondsBefore(nowMs, STALE));
        expect(await cardOf(a)).toMatchObject({ card_limit: "900" });
      },
    );

    test("a copy that comes while a worker applies its event is not lost", async () => {
      const a = aCardUpdate({ card_limit: "100" });
      const b = aCardUpdate({ ...a.data, card_limit: "900" });
      const nowMs = Date.now();
      await deliverCopy(service, [b, 5], nowMs);
      await service.untilApplied();
      const blocker = new pg.Client({ connectionString: service.databaseUrl });
      await blocker.connect();
      await blocker.query("begin");
      await blocker.query(
        "select pg_advisory_xact_lock(hashtextextended('card ' || $1, 0))",
        [a.data["card_id"]],
      );
      await deliverCopy(service, [a, 1], nowMs);
      await waitFor(
        async () =>
          (
            await service.rows(
              "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
            )
          ).length > 0,
        { what: "the worker to have the event in hand" },
      );

      const status = await deliverCopy(service, [a, 10], nowMs);

      expect(status).toBe(200);
      await blocker.query("commit");
      await blocker.end();
      await untilSigned(a, secondsBefore(nowMs, 10));
      expect(await cardOf(a)).toMatchObject({ card_limit: "900" });
    });
  },
);

describe("several processes", () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterAll(async () => {
    await database.drop();
  });

  const only = async (role: "api" | "worker") =>
    startTestService({ queue: "postgres", database, env: { ROLE: role } });

  test("what one of them noted and died over, another one finds without being told", async () => {
    const a = aCardUpdate({ card_limit: "100" });
    const b = aCardUpdate({ ...a.data, card_limit: "900" });
    const nowMs = Date.now();
    const both = await startTestService({ queue: "postgres", database });
    await deliverCopy(both, [a, 1], nowMs);
    await deliverCopy(both, [b, 5], nowMs);
    await both.untilApplied();
    await both.stop();
    const api = await only("api");
    await deliverCopy(api, [a, 10], nowMs);
    await api.stop();
    const { rows, close } = openReader(database.url);
    // All hints are lost, and the events of a while ago have to be found.
    await rows("delete from bullmq.job");
    await rows(
      "update earlier_copies set received_at = now() - interval '1 minute'",
    );

    const worker = await only("worker");
    const row = await waitFor(
      async () => {
        const [card] = await rows("select * from cards where card_id = $1", [
          a.data["card_id"],
        ]);
        return card?.["card_limit"] === "900" ? card : undefined;
      },
      { what: "the sweep to find the copy" },
    );
    await worker.stop();
    await close();

    expect(row).toMatchObject({ last_event_id: b.event_id });
  });

  test("two of them that take the copies of many events at once give the rows of the earliest", async () => {
    const services: TestService[] = [];
    for (let index = 0; index < 2; index++)
      services.push(await startTestService({ queue: "postgres", database }));
    const nowMs = Date.now();
    const cards = Array.from({ length: 10 }, () => aCardUpdate().data);
    const events = cards.flatMap((data) =>
      Array.from({ length: 4 }, (_, index) =>
        aCardUpdate({ ...data, card_limit: String(index) }),
      ),
    );
    // Of each event three copies; the earliest of the n-th of a card is the n-th.
    const copies = events.flatMap((event, index) =>
      [100 - (index % 4), 50 - ((index * 7) % 40), 1 + (index % 5)].map(
        (age): Copy => [event, age],
      ),
    );

    await Promise.all(
      copies
        .toSorted((x, y) => ((x[1] * 37) % 11) - ((y[1] * 37) % 11))
        .map((copy, index) =>
          deliverCopy(services[index % 2] as TestService, copy, nowMs),
        ),
    );
    await services[0]?.untilApplied();

    const rows = await services[0]?.rows(
      "select card_limit, first_seen_at from cards where card_id = any($1)",
      [cards.map((data) => data["card_id"])],
    );
    for (const service of services) await service.stop();
    const expected: Row = {
      card_limit: "3",
      first_seen_at: expect.anything(),
    };
    expect(rows).toEqual(cards.map(() => expected));
    for (const row of rows ?? [])
      expect(Date.parse(String(row["first_seen_at"]))).toBe(
        secondsBefore(nowMs, 100),
      );
  }, 60_000);
});
