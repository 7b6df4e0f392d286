import { randomUUID } from "node:crypto";
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  test,
} from "@jest/globals";
import {
  rebuildProjections,
  verifyProjections,
} from "../../src/operate/recompute.ts";
import type { RecomputeProgress } from "../../src/operate/recompute.ts";
import { reconcileEvents } from "../../src/apply-events.ts";
import type { Database } from "../../src/store/database.ts";
import { recordEvents } from "../../src/store/inbox.ts";
import { dropOldBodies } from "../../src/store/retention.ts";
import type { ColumnChange } from "../../src/operate/row-changes.ts";
import {
  aCardUpdate,
  aStatusUpdate,
  anAuthorization,
  anOrderFailure,
  anMccDecline,
  anOtp,
  deliver,
} from "../support/deliveries.ts";
import type { Payload } from "../support/fixtures.ts";
import type { TestService } from "../support/service.ts";
import { startTestService } from "../support/service.ts";
import { inboxEntryOf, openStore, reconcileOptions } from "../support/store.ts";

/** Some tests deliver hundreds of events, and a build machine may be busy. */
const LONG_MS = 60_000;

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

/** What one test leaves differing, the next one must not find. */
afterEach(async () => {
  await service.untilApplied();
  await service.rows(
    "truncate webhook_events, quarantined_events, cards, transactions, card_orders, events_without_card",
  );
});

async function changesIn(
  progress: AsyncGenerator<RecomputeProgress>,
): Promise<ColumnChange[]> {
  const changes: ColumnChange[] = [];
  for await (const step of progress) changes.push(...step.changes);
  return changes;
}

const verify = (cardId?: string) => changesIn(verifyProjections(db, cardId));
const rebuild = (cardId?: string) => changesIn(rebuildProjections(db, cardId));

/** Delivers in this order, each signed one second after the one before, and waits until all are applied. */
async function tell(...events: readonly Payload[]): Promise<void> {
  const firstMs = Date.now() - 100_000;
  for (const [index, event] of events.entries()) {
    const answer = await deliver(service, event, {
      atMs: firstMs + index * 1_000,
    });
    expect(answer.status).toBe(200);
  }
  await service.untilApplied();
}

/** Many events in one transaction of the inbox and one of the projection, as under load. */
async function applyAtOnce(events: readonly Payload[]): Promise<void> {
  await recordEvents(
    db,
    events.map((event) => inboxEntryOf(event)),
  );
  const { failed } = await reconcileEvents(
    events.map(({ event_id }) => event_id),
    reconcileOptions(db),
  );
  expect(failed).toEqual([]);
}

const cardRow = async (cardId: string) =>
  (await service.rows("select * from cards where card_id = $1", [cardId]))[0];
const authorizationRow = async (id: string) =>
  (
    await service.rows("select * from transactions where transaction_id = $1", [
      id,
    ])
  )[0];
const withoutWriteTime = (row: object | undefined) => ({
  ...row,
  updated_at: undefined,
});

/** As if these events were older than RETENTION_DAYS. */
async function dropBodies(...events: readonly Payload[]): Promise<void> {
  const ids = events.map(({ event_id }) => event_id);
  await service.rows(
    "update webhook_events set received_at = received_at - interval '1 year' where event_id = any($1)",
    [ids],
  );
  await dropOldBodies(db, new Date(Date.now() - 86_400_000), 1_000);
  const kept = await service.rows(
    "select event_id from webhook_events where body is not null and event_id = any($1)",
    [ids],
  );
  expect(kept).toEqual([]);
}

/** A card with something in every kind of column, and a declined authorization. */
async function aFullCard() {
  const cardId = randomUUID();
  const transactionId = randomUUID();
  await tell(
    aCardUpdate({
      card_id: cardId,
      card_limit: "1000.50",
      spending_controls: [{ amount: "500", interval: "PER_TRANSACTION" }],
      risk_control: { blocked_mcc: ["5999"] },
      metadata: { team: "a" },
    }),
    aStatusUpdate({ card_id: cardId, card_status: "PRE_CANCEL" }),
    aStatusUpdate({
      card_id: cardId,
      card_status: "CANCELLED",
      update_time: "2026-04-12T11:00:00+08:00",
      reason: "lost",
    }),
    anMccDecline({ card_id: cardId, transaction_id: transactionId }),
  );
  return { cardId, transactionId };
}

describe("verifying", () => {
  test("finds nothing in an empty database, and nothing in one that nobody touched", async () => {
    const before = await verify();
    await aFullCard();
    await tell(anOtp(), aCardUpdate());

    expect(before).toEqual([]);
    expect(await verify()).toEqual([]);
  });

  test.each([
    ["cards", "card_status", "'ACTIVE'"],
    ["cards", "card_limit", "1000.51"],
    ["cards", "card_limit", "null"],
    ["cards", "metadata", `'{"team": "b"}'`],
    ["cards", "per_transaction_limit", "499"],
    ["cards", "status_reason", "'found'"],
    ["cards", "status_changed_at", "'2026-04-12T00:00:00Z'"],
    ["cards", "cancel_requested_at", "null"],
    ["cards", "cancelled_at", "null"],
    ["cards", "controls_updated_at", "now()"],
    ["cards", "observed_status_at", "now()"],
    ["cards", "first_seen_at", "now()"],
    ["cards", "last_event_id", "'another'"],
    ["cards", "last_event_at", "now()"],
    ["cards", "blocked_mcc", "'{5998}'"],
    ["cards", "mcc_mode", "'none'"],
    ["cards", "status_contradicted", "not status_contradicted"],
    ["cards", "field_clocks", "'{}'"],
    ["cards", "field_clocks", `'{"card_status": null}'`],
    ["cards", "field_clocks", `'{"card_status": "no clock"}'`],
    ["cards", "field_clocks", `field_clocks || '{"gone": {}}'`],
    ["cards", "field_clocks", "field_clocks - 'card_status'"],
    ["cards", "field_clocks", "field_clocks #- '{metadata,at}'"],
    [
      "cards",
      "field_clocks",
      "replace(field_clocks::text, 'card_limit', 'gone')::jsonb",
    ],
    ["transactions", "field_clocks", "field_clocks - 'mcc'"],
    ["transactions", "field_clocks", "'{}'"],
    ["transactions", "field_clocks", `'{"mcc": {}}'`],
    ["transactions", "description", "'Forbid MCC'"],
    ["transactions", "transaction_amount", "10.01"],
    ["transactions", "merchant_name", "null"],
    ["transactions", "received_at", "now()"],
    ["transactions", "event_id", "'another'"],
  ])(
    "names a %s column that was edited by hand, %s = %s, and rebuilding restores it",
    async (table, column, value) => {
      const { cardId, transactionId } = await aFullCard();
      const id =
        table === "cards"
          ? cardId
          : JSON.stringify([transactionId, "authorization"]);
      const right = [
        await cardRow(cardId),
        await authorizationRow(transactionId),
      ];
      await service.rows(
        `update ${table} set ${column} = ${value} where card_id = $1`,
        [cardId],
      );

      const found = await verify(cardId);
      const written = await rebuild(cardId);

      expect(found.map((change) => [change.table, change.id])).toEqual([
        [table, id],
      ]);
      expect(found.map((change) => change.column)).toEqual([column]);
      expect(written).toEqual(found);
      expect(await verify(cardId)).toEqual([]);
      expect(
        [await cardRow(cardId), await authorizationRow(transactionId)].map(
          withoutWriteTime,
        ),
      ).toEqual(right.map(withoutWriteTime));
    },
  );

  test.each(["cards", "transactions"])(
    "an event about a row of %s whose clocks nobody can read fails, and is applied after a rebuild",
    async (table) => {
      const { cardId, transactionId } = await aFullCard();
      await service.rows(
        `update ${table} set field_clocks = '{"mcc": 5}' where card_id = $1`,
        [cardId],
      );
      const event = anAuthorization({
        card_id: cardId,
        transaction_id: transactionId,
        merchant_data: { name: "Late Shop" },
      });
      await recordEvents(db, [inboxEntryOf(event)]);
      const apply = () =>
        reconcileEvents([event.event_id], reconcileOptions(db));

      const { failed } = await apply();
      await rebuild(cardId);
      await apply();

      expect(failed).toMatchObject([
        { error: expect.stringContaining("is unreadable (edited by hand?)") },
      ]);
      expect(await authorizationRow(transactionId)).toMatchObject({
        merchant_name: "Late Shop",
      });
      expect(await verify(cardId)).toEqual([]);
    },
  );

  test("names both columns of a decline whose category was edited", async () => {
    const { cardId } = await aFullCard();
    await service.rows(
      "update transactions set decline_category = 'other', mcc_declined = false where card_id = $1",
      [cardId],
    );

    const found = await verify(cardId);

    expect(found.map(({ column, from, to }) => [column, from, to])).toEqual([
      ["decline_category", "other", "mcc"],
      ["mcc_declined", false, true],
    ]);
    await rebuild(cardId);
    expect(await verify(cardId)).toEqual([]);
  });

  test("masks the card's number of a body that an earlier version stored as it came", async () => {
    const event = aStatusUpdate({ card_number: "5555341244441115" });
    const cardId = String(event.data["card_id"]);
    await applyAtOnce([event]);
    expect(await cardRow(cardId)).toMatchObject({
      card_number: "555534******1115",
    });
    await service.rows(
      "update cards set card_number = '5555341244441115' where card_id = $1",
      [cardId],
    );

    const found = await rebuild(cardId);

    expect(found.map(({ column, to }) => [column, to])).toEqual([
      ["card_number", "555534******1115"],
    ]);
    expect(await verify(cardId)).toEqual([]);
  });

  test("tells from what to what", async () => {
    const { cardId } = await aFullCard();
    await service.rows(
      "update cards set card_limit = 7, card_status = 'FROZEN' where card_id = $1",
      [cardId],
    );

    const found = await verify(cardId);

    const table = "cards";
    expect(found).toEqual([
      {
        table,
        id: cardId,
        column: "card_status",
        from: "FROZEN",
        to: "CANCELLED",
      },
      { table, id: cardId, column: "card_limit", from: "7", to: "1000.50" },
    ]);
  });

  test("changes nothing, not even the time of writing", async () => {
    const { cardId } = await aFullCard();
    await service.rows("update cards set card_limit = 7 where card_id = $1", [
      cardId,
    ]);
    const before = await service.rows(
      "select xmin, * from cards order by card_id",
    );

    await verify();

    expect(
      await service.rows("select xmin, * from cards order by card_id"),
    ).toEqual(before);
    await rebuild(cardId);
  });

  test("finds a row that was deleted, and rebuilding writes it again", async () => {
    const { cardId, transactionId } = await aFullCard();
    const right = [
      await cardRow(cardId),
      await authorizationRow(transactionId),
    ];
    await service.rows("delete from cards where card_id = $1", [cardId]);
    await service.rows("delete from transactions where card_id = $1", [cardId]);

    const found = await verify();
    await rebuild();

    expect(new Set(found.map(({ table, id }) => `${table} ${id}`))).toEqual(
      new Set([
        `cards ${cardId}`,
        `transactions ${JSON.stringify([transactionId, "authorization"])}`,
      ]),
    );
    expect(
      [await cardRow(cardId), await authorizationRow(transactionId)].map(
        withoutWriteTime,
      ),
    ).toEqual(right.map(withoutWriteTime));
    expect(await verify()).toEqual([]);
  });

  test("rebuilding writes nothing where nothing differs", async () => {
    await aFullCard();
    const before = await service.rows(
      "select xmin, * from cards order by card_id",
    );

    expect(await rebuild()).toEqual([]);
    expect(
      await service.rows("select xmin, * from cards order by card_id"),
    ).toEqual(before);
  });

  test("of one card leaves the others alone", async () => {
    const { cardId } = await aFullCard();
    const { cardId: other } = await aFullCard();
    await service.rows(
      "update cards set card_limit = 7 where card_id = any($1)",
      [[cardId, other]],
    );

    await rebuild(cardId);

    expect((await verify()).map(({ id }) => id)).toEqual([other]);
    await rebuild();
  });

  test("counts only events that are applied", async () => {
    const { cardId } = await aFullCard();
    await tell(aCardUpdate({ card_id: cardId, card_limit: "5" }));
    await service.rows(
      "update webhook_events set state = 'failed', last_error = 'x' where card_id = $1 and body like '%\"card_limit\":\"5\"%'",
      [cardId],
    );

    const found = await verify(cardId);

    expect(
      found.map(({ column, from, to }) => [column, from, to]),
    ).toContainEqual(["card_limit", "5", "1000.50"]);
    await rebuild(cardId);
  });

  test(
    "reads many more cards than fit into one step",
    async () => {
      const ids = Array.from(
        { length: 450 },
        (_, index) => `many-${String(index).padStart(3, "0")}`,
      );
      await applyAtOnce(ids.map((card_id) => aStatusUpdate({ card_id })));
      const touched = [
        ids[0],
        ids[199],
        ids[200],
        ids[201],
        ids[399],
        ids[449],
      ];
      await service.rows(
        "update cards set card_status = 'X' where card_id = any($1)",
        [touched],
      );

      const found = await verify();

      expect(found.map(({ id }) => id).toSorted()).toEqual(touched);
      await rebuild();
      expect(await verify()).toEqual([]);
    },
    LONG_MS,
  );
});

describe("a row that no event explains", () => {
  test("is reported and left, when it is a card's", async () => {
    const stranger = randomUUID();
    await aFullCard();
    await service.rows(
      `insert into cards (card_id, first_seen_at, last_event_id, last_event_at, field_clocks)
       values ($1, now(), 'none', now(), '{}')`,
      [stranger],
    );

    const found = await verify();
    const rebuilt = await rebuild();

    expect(new Set(found.map(({ id }) => id))).toEqual(new Set([stranger]));
    expect(rebuilt).toEqual(found);
    expect(await cardRow(stranger)).toBeDefined();
    await service.rows("delete from cards where card_id = $1", [stranger]);
  });

  test.each([
    ["a known card", true],
    ["a card that nothing else knows", false],
  ])("is reported, when it is a transaction of %s", async (_, isKnown) => {
    const stranger = randomUUID();
    const { cardId } = await aFullCard();
    await service.rows(
      `insert into transactions
         (transaction_id, kind, event_id, card_id, transaction_status, mcc_declined, received_at, field_clocks)
       values ($1, 'refund', 'none', $2, 'APPROVED', false, now(), '{}')`,
      [stranger, isKnown ? cardId : randomUUID()],
    );

    const found = await verify();

    await service.rows("delete from transactions where transaction_id = $1", [
      stranger,
    ]);
    expect(new Set(found.map(({ id }) => id))).toEqual(
      new Set([JSON.stringify([stranger, "refund"])]),
    );
  });
});

describe("a transaction that was told of under two cards", () => {
  /** The outcome says everything again, so no column of the row is from the first event any more. */
  async function twoCards() {
    const [first, second, transactionId] = [
      randomUUID(),
      randomUUID(),
      randomUUID(),
    ];
    await tell(
      anAuthorization({
        card_id: first,
        transaction_id: transactionId,
        transaction_status: "PENDING",
      }),
      anAuthorization({ card_id: second, transaction_id: transactionId }),
    );
    return { first, second, transactionId };
  }

  test("is right from the view of either card", async () => {
    const { first, second } = await twoCards();

    expect(await verify(first)).toEqual([]);
    expect(await verify(second)).toEqual([]);
    expect(await verify()).toEqual([]);
  });

  test("is right also where one of the two events adds a field", async () => {
    const [first, second, transaction_id] = [
      randomUUID(),
      randomUUID(),
      randomUUID(),
    ];
    await tell(
      anAuthorization({
        card_id: first,
        transaction_id,
        description: "only here",
      }),
      anAuthorization({ card_id: second, transaction_id }),
    );

    expect(await verify(first)).toEqual([]);
    expect(await verify(second)).toEqual([]);
  });

  test.each(["first", "second"] as const)(
    "is written whole when its row is gone and only the %s card is rebuilt",
    async (which) => {
      const cards = await twoCards();
      const right = await authorizationRow(cards.transactionId);
      await service.rows("delete from transactions where transaction_id = $1", [
        cards.transactionId,
      ]);

      await rebuild(cards[which]);

      expect(
        withoutWriteTime(await authorizationRow(cards.transactionId)),
      ).toEqual(withoutWriteTime(right));
      expect(await verify(cards.first)).toEqual([]);
      expect(await verify(cards.second)).toEqual([]);
    },
  );
});

describe("an order of no card", () => {
  const orderRow = async (id: string) =>
    (
      await service.rows("select * from card_orders where order_id = $1", [id])
    )[0];

  /** The later one says nothing that the earlier one has not said. */
  async function twice(card?: string) {
    const order = randomUUID();
    await tell(
      anOrderFailure(
        "recharge",
        { card_id: card, failure_reason: "first", amount: "5" },
        { source_id: order },
      ),
      anOrderFailure(
        "recharge",
        { failure_reason: "second", amount: "6" },
        { source_id: order },
      ),
    );
    return order;
  }

  test("is verified with all others, and with no card", async () => {
    const order = await twice();
    const { cardId } = await aFullCard();

    expect(await orderRow(order)).toMatchObject({
      card_id: null,
      order_status: "FAILED",
      reason: "second",
      amount: "6",
    });
    expect(await verify()).toEqual([]);

    await service.rows(
      "update card_orders set reason = 'edited' where order_id = $1",
      [order],
    );
    expect(await verify(cardId)).toEqual([]);
    expect(await verify()).toEqual([
      {
        table: "card_orders",
        id: order,
        column: "reason",
        from: "edited",
        to: "second",
      },
    ]);
    expect(await rebuild()).toHaveLength(1);
    expect(await verify()).toEqual([]);
  });

  test("is found where its row is gone, and where no event explains it", async () => {
    const order = await twice();
    const right = await orderRow(order);
    await service.rows("delete from card_orders");
    await service.rows(`
      insert into card_orders (order_id, order_type, order_status, event_id, first_seen_at, field_clocks)
      values ('nobody''s', 'update', 'SUCCESS', 'e', now(), '{}')`);

    const found = await rebuild();

    expect(new Set(found.map(({ id }) => id))).toEqual(
      new Set(["nobody's", order]),
    );
    expect(withoutWriteTime(await orderRow(order))).toEqual(
      withoutWriteTime(right),
    );
    expect(await orderRow("nobody's")).toBeDefined();
  });

  test("is right from the view of a card that another event of it names", async () => {
    const card = randomUUID();
    const order = await twice(card);

    expect(await orderRow(order)).toMatchObject({
      card_id: card,
      reason: "second",
    });
    expect(await verify(card)).toEqual([]);
    expect(await verify()).toEqual([]);

    await service.rows("update card_orders set amount = 7");
    expect(await rebuild(card)).toHaveLength(1);
    expect(await orderRow(order)).toMatchObject({ amount: "6" });
  });

  test("changes no card, known or not, even when its body is gone", async () => {
    const card = randomUUID();
    const unknown = randomUUID();
    const update = aCardUpdate({ card_id: card });
    const failures = [
      anOrderFailure("update", { card_id: card, card_status: "FROZEN" }),
      anOrderFailure("update", { card_id: unknown }),
    ];
    await tell(...failures, update);
    const right = await cardRow(card);

    expect(right).toMatchObject({
      card_status: "ACTIVE",
      last_event_id: update.event_id,
    });
    expect(await cardRow(unknown)).toBeUndefined();
    await dropBodies(...failures);
    expect(await verify()).toEqual([]);
  });
});

describe("after retention", () => {
  test("a card whose every body is gone is as it was", async () => {
    const cardId = randomUUID();
    const events = [
      aCardUpdate({ card_id: cardId, card_limit: "5" }),
      aStatusUpdate({ card_id: cardId }),
    ];
    await tell(...events);
    const right = await cardRow(cardId);
    await dropBodies(...events);

    expect(await verify(cardId)).toEqual([]);
    expect(await rebuild(cardId)).toEqual([]);
    expect(await cardRow(cardId)).toEqual(right);
  });

  test.each(["with its body", "without its body"])(
    "a decline that an earlier version judged otherwise is judged anew, %s",
    async (kept) => {
      const decline = anMccDecline({ description: "MCC_BLOCKED" });
      const transactionId = String(decline.data["transaction_id"]);
      const cardId = String(decline.data["card_id"]);
      await tell(decline);
      if (kept === "without its body") await dropBodies(decline);
      await service.rows(
        "update transactions set decline_category = 'card_status', mcc_declined = false where card_id = $1",
        [cardId],
      );

      const found = await verify();
      await rebuild();

      expect(found.map(({ column, to }) => [column, to])).toEqual([
        ["decline_category", "mcc"],
        ["mcc_declined", true],
      ]);
      expect(await authorizationRow(transactionId)).toMatchObject({
        decline_category: "mcc",
        mcc_declined: true,
      });
    },
  );

  test("a card keeps what only the event without a body said", async () => {
    const cardId = randomUUID();
    const old = aCardUpdate({ card_id: cardId, card_limit: "5" });
    await tell(old, aStatusUpdate({ card_id: cardId }));
    await dropBodies(old);
    await service.rows(
      "update cards set card_status = 'X' where card_id = $1",
      [cardId],
    );

    const found = await verify(cardId);
    await rebuild(cardId);

    expect(found.map(({ column }) => column)).toEqual(["card_status"]);
    expect(await cardRow(cardId)).toMatchObject({
      card_status: "FROZEN",
      card_limit: "5",
    });
  });

  test.each(["cards", "transactions"])(
    "a row of %s whose clocks are gone, too, is reported and left: nothing else has what that event said",
    async (table) => {
      const { cardId, transactionId } = await aFullCard();
      const old = aCardUpdate({ card_id: cardId, card_limit: "5" });
      await tell(old);
      await dropBodies(old);
      for (const clocks of ["{}", '{"mcc": []}']) {
        await service.rows(
          `update ${table} set field_clocks = $2 where card_id = $1`,
          [cardId, clocks],
        );
        const before = [
          await cardRow(cardId),
          await authorizationRow(transactionId),
        ];

        const found = await verify(cardId);

        expect(new Set(found.map((change) => change.table))).toEqual(
          new Set([table]),
        );
        expect(await rebuild(cardId)).toEqual(found);
        expect([
          await cardRow(cardId),
          await authorizationRow(transactionId),
        ]).toEqual(before);
      }
    },
  );

  test("a card whose every body and whose clocks are gone is reported and left", async () => {
    const event = aCardUpdate();
    const cardId = String(event.data["card_id"]);
    await tell(event);
    await dropBodies(event);
    await service.rows(
      "update cards set field_clocks = '{}' where card_id = $1",
      [cardId],
    );
    const before = await cardRow(cardId);

    const found = await verify(cardId);

    expect(found).not.toEqual([]);
    expect(await rebuild(cardId)).toEqual(found);
    expect(await cardRow(cardId)).toEqual(before);
  });

  test("a card keeps when it was first seen, though nothing else of that event stands", async () => {
    const cardId = randomUUID();
    const old = aStatusUpdate({ card_id: cardId });
    await tell(
      old,
      aStatusUpdate({
        card_id: cardId,
        card_status: "ACTIVE",
        update_time: "2026-04-12T11:00:00+08:00",
      }),
    );
    await dropBodies(old);

    expect(await verify(cardId)).toEqual([]);
  });

  test("a card keeps when its cancellation was asked for, though nothing else of that event stands", async () => {
    const cardId = randomUUID();
    const old = aStatusUpdate({ card_id: cardId, card_status: "PRE_CANCEL" });
    await tell(
      aCardUpdate({ card_id: cardId }),
      old,
      aStatusUpdate({
        card_id: cardId,
        card_status: "CANCELLED",
        update_time: "2026-04-12T11:00:00+08:00",
      }),
    );
    await dropBodies(old);
    const right = await cardRow(cardId);

    expect(await verify(cardId)).toEqual([]);
    await rebuild(cardId);
    expect(await cardRow(cardId)).toEqual(right);
  });

  test("an authorization keeps when it was first received, though its outcome replaced all else", async () => {
    const cardId = randomUUID();
    const transaction_id = randomUUID();
    const old = anAuthorization({
      card_id: cardId,
      transaction_id,
      transaction_status: "PENDING",
    });
    await tell(old, anAuthorization({ card_id: cardId, transaction_id }));
    await dropBodies(old);
    const right = await authorizationRow(transaction_id);
    // It was not received a year before: only the inbox was made to say so.
    await service.rows(
      "update webhook_events set received_at = received_at + interval '1 year' where event_id = $1",
      [old.event_id],
    );

    expect(await verify(cardId)).toEqual([]);
    await rebuild(cardId);
    expect(await authorizationRow(transaction_id)).toEqual(right);
  });

  test("new events go on where the old ones ended", async () => {
    const cardId = randomUUID();
    const old = aCardUpdate({ card_id: cardId, card_limit: "5" });
    await tell(old);
    await dropBodies(old);
    await tell(aCardUpdate({ card_id: cardId, available_balance: "4" }));

    expect(await verify(cardId)).toEqual([]);
    expect(await cardRow(cardId)).toMatchObject({
      card_limit: "5",
      available_balance: "4",
    });
  });
});

describe("while events come in", () => {
  test(
    "verifying finds no difference, and rebuilding makes none",
    async () => {
      const cards = Array.from({ length: 10 }, () => randomUUID());
      let turn = 0;
      let isOver = false;
      const traffic = async () => {
        while (!isOver) {
          const card_id = cards[turn++ % cards.length];
          await applyAtOnce([
            aStatusUpdate({ card_id }),
            aCardUpdate({ card_id, card_limit: "9" }),
            anAuthorization({ card_id, transaction_id: `of ${card_id}` }),
          ]);
        }
      };
      const senders = Promise.all([traffic(), traffic()]);
      const found: ColumnChange[] = [];

      for (let round = 0; round < 5; round++)
        found.push(...(await verify()), ...(await rebuild()));
      for (const card of cards) found.push(...(await rebuild(card)));
      isOver = true;
      await senders;

      expect(found).toEqual([]);
      expect(turn).toBeGreaterThan(0);
      expect(await verify()).toEqual([]);
    },
    LONG_MS,
  );
});
