import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { sql } from "kysely";
import type { Card } from "../../src/domain/card.ts";
import { applyToCard } from "../../src/domain/card.ts";
import type { Instant } from "../../src/domain/instant.ts";
import type { CardChange } from "../../src/store/cards.ts";
import {
  findCardClocks,
  findCards,
  saveCards,
  toRow,
} from "../../src/store/cards.ts";
import { inTransaction } from "../../src/store/transaction.ts";
import { decodeKeptEvent } from "../../src/uqpay/decode-event.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import {
  aCardUpdate,
  anAuthorization,
  aStatusUpdate,
} from "../support/deliveries.ts";
import type { Payload } from "../support/fixtures.ts";
import type { TestStore } from "../support/store.ts";
import { openStore } from "../support/store.ts";
import {
  aCardObserved,
  aStatusAnnounced,
  anAuthorizationReported,
  at,
} from "../support/events.ts";

let database: TestDatabase;
let store: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  store = openStore(database.url);
});

afterAll(async () => {
  await store.close();
  await database.drop();
});

const NO_RULES = { allowedMcc: [], blockedMcc: [], delivered: {} };

const BEFORE = "2026-04-12T09:00:00.000000Z" as Instant;
const FIRST = "2026-04-12T10:00:00.000000Z" as Instant;
const LATER = "2026-04-12T11:00:00.000000Z" as Instant;
const LATEST = "2026-04-12T12:00:00.000000Z" as Instant;

function apply(
  known: Card | undefined,
  payload: Payload,
  signedAt = FIRST,
): Card {
  const decoded = decodeKeptEvent(JSON.stringify(payload), {
    signedAt,
    receivedAt: signedAt,
  });
  if (decoded.kind !== "known") throw new Error(decoded.kind);
  return applyToCard(known, decoded.event);
}

const save = (change: CardChange) =>
  inTransaction(store.db, (trx) => saveCards(trx, [change]));

/** A card whose row was made by an update of it. */
async function aSavedCard(card_id: string): Promise<Card> {
  const card = apply(undefined, aCardUpdate({ card_id }));
  await save({ before: undefined, after: card });
  return card;
}

const anAuthorizationOf = (card_id: string) =>
  anAuthorization({ card_id, card_available_balance: "12.34" });

describe("saving a card", () => {
  test("writes after an authorization only what such an event speaks of", async () => {
    const before = await aSavedCard("used");
    await store.pool.query(
      "update cards set card_scheme = 'left alone' where card_id = 'used'",
    );

    await save({ before, after: apply(before, anAuthorizationOf("used")) });

    const { rows } = await store.pool.query(
      "select card_scheme, available_balance from cards where card_id = 'used'",
    );
    expect(rows).toEqual([
      { card_scheme: "left alone", available_balance: "12.34" },
    ]);
  });

  test("gives the card back that was saved, whichever columns were written", async () => {
    const before = await aSavedCard("kept");
    const after = apply(before, anAuthorizationOf("kept"));
    await save({ before, after });
    expect(await findCards(store.db, ["kept"])).toEqual([after]);
  });

  test("refuses to write a card as a new one of which only the clocks were read", async () => {
    await aSavedCard("unread");
    const [read] = await findCardClocks(store.db, ["unread"]);

    await expect(
      save({ before: undefined, after: read as Card }),
    ).rejects.toThrow("only the clocks were read");
  });

  test("writes all of a card whose row is not to be built on", async () => {
    const before = await aSavedCard("mended");
    await store.pool.query(
      "update cards set card_scheme = 'wrong' where card_id = 'mended'",
    );

    const after = apply(before, anAuthorizationOf("mended"));
    await save({ before: undefined, after });

    expect(await findCards(store.db, ["mended"])).toEqual([after]);
  });

  test("touches no index while what is indexed stays as it is: the row is updated in its place", async () => {
    const events = [
      aCardObserved({ status: "ACTIVE", facts: { cardholderId: "somebody" } }),
      anAuthorizationReported({ eventId: "b", happenedAt: at("11:00:00") }),
      aCardObserved({
        eventId: "c",
        status: "ACTIVE",
        signedAt: at("12:00:00"),
        facts: { availableBalance: "90", riskControl: NO_RULES },
      }),
      aStatusAnnounced({
        eventId: "d",
        status: "ACTIVE",
        changedAt: at("13:00:00"),
      }),
      aStatusAnnounced({
        eventId: "e",
        status: "FROZEN",
        changedAt: at("14:00:00"),
      }),
    ];

    const inPlace = await inTransaction(store.db, async (trx) => {
      // Of this session: also of its transactions before that are not reported yet.
      const count = async () => {
        const { rows } = await trx.executeQuery(
          sql<{ count: number }>`
            select n_tup_hot_upd::int as count
            from pg_stat_xact_user_tables where relname = 'cards'`.compile(
            store.db,
          ),
        );
        return rows[0]?.count ?? NaN;
      };
      let before: Card | undefined;
      const counts: number[] = [];
      for (const event of events) {
        const after = applyToCard(before, event);
        await saveCards(trx, [{ before, after }]);
        counts.push(await count());
        before = after;
      }
      return counts.map((one) => one - (counts[0] ?? NaN));
    });

    expect(inPlace).toEqual([0, 1, 2, 3, 3]);
  });

  test("fails where the row was deleted meanwhile", async () => {
    const before = await aSavedCard("deleted");
    await store.pool.query("delete from cards where card_id = 'deleted'");

    await expect(
      save({ before, after: apply(before, anAuthorizationOf("deleted")) }),
    ).rejects.toThrow("a row of cards was deleted meanwhile");
  });
});

describe("a card of which only the clocks were read", () => {
  const cardUpdate = (data: Payload["data"]) => (card_id: string) =>
    aCardUpdate({ card_id, ...data });
  const statusUpdate = (data: Payload["data"]) => (card_id: string) =>
    aStatusUpdate({ card_id, update_time: LATER, ...data });

  /** Each of its columns has a value. */
  function aFullCard(card_id: string): Card {
    const events = [
      aCardUpdate({
        card_id,
        card_bin: "40963608",
        card_scheme: "VISA",
        card_product_id: "a product",
        card_currency: "SGD",
        mode_type: "SHARE",
        form_factor: "PHYSICAL",
        card_number: "40963608****8664",
        card_limit: "1000",
        available_balance: "90",
        no_pin_payment_amount: "5",
        spending_controls: [{ amount: "500", interval: "PER_TRANSACTION" }],
        risk_control: { allowed_mcc: ["5999"], blocked_mcc: [] },
        metadata: { key: "value" },
        cardholder: { cardholder_id: "somebody" },
      }),
      aStatusUpdate({ card_id, card_status: "PRE_CANCEL" }),
      aStatusUpdate({
        card_id,
        card_status: "CANCELLED",
        update_reason: "lost",
      }),
    ];
    return events.reduce<Card | undefined>(
      (card, event) => apply(card, event),
      undefined,
    ) as Card;
  }

  test.each([
    ["an authorization", LATER, anAuthorizationOf],
    ["an authorization that comes late", BEFORE, anAuthorizationOf],
    ["an update of one field", LATER, cardUpdate({ card_scheme: "MASTER" })],
    [
      "an update that comes late, of a field that nobody else stated",
      BEFORE,
      cardUpdate({ card_scheme: "MASTER", form_factor: "VIRTUAL" }),
    ],
    [
      "an update that takes the limit and the rules away",
      LATER,
      cardUpdate({
        spending_controls: [],
        risk_control: { allowed_mcc: [], blocked_mcc: [] },
        metadata: {},
      }),
    ],
    [
      "another final status, without a reason, which takes the time of cancelling away",
      LATER,
      statusUpdate({ card_status: "FAILED", update_reason: undefined }),
    ],
    [
      "a status that comes late and is less final",
      LATER,
      statusUpdate({ card_status: "FROZEN" }),
    ],
    [
      "an earlier request to cancel",
      LATER,
      statusUpdate({
        card_status: "PRE_CANCEL",
        update_time: "2026-04-01T00:00:00Z",
      }),
    ],
  ])(
    "has the row of one that was read whole, after %s",
    async (what, signedAt, makeEvent) => {
      const before = aFullCard(what);
      await save({ before: undefined, after: before });
      const [read] = await findCardClocks(store.db, [what]);
      const event = makeEvent(what);
      const after = apply(before, event, signedAt);

      await save({ before: read, after: apply(read, event, signedAt) });

      const [row] = await store.db
        .selectFrom("cards")
        .selectAll()
        .where("card_id", "=", what)
        .execute();
      expect(row).toMatchObject(toRow(after));
      expect(await findCards(store.db, [what])).toEqual([after]);
    },
  );

  test("tells whether its status is contradicted, whichever of the two statuses came", async () => {
    const card_id = "contradicted";
    const told: unknown[] = [];
    const take = async (event: Payload, signedAt: Instant) => {
      const [before] = await findCardClocks(store.db, [card_id]);
      await save({ before, after: apply(before, event, signedAt) });
      const { rows } = await store.pool.query<{ status_contradicted: boolean }>(
        "select status_contradicted from cards where card_id = $1",
        [card_id],
      );
      told.push(rows[0]?.status_contradicted);
    };
    const announced = (card_status: string, update_time: string) =>
      aStatusUpdate({ card_id, card_status, update_time });

    await take(announced("FROZEN", BEFORE), BEFORE);
    await take(aCardUpdate({ card_id, card_status: "ACTIVE" }), FIRST);
    await take(anAuthorizationOf(card_id), LATER);
    await take(announced("FROZEN", FIRST), LATER);
    await take(aCardUpdate({ card_id, card_status: "ACTIVE" }), LATER);
    await take(announced("ACTIVE", LATER), LATEST);
    await take(aCardUpdate({ card_id, card_status: "FROZEN" }), BEFORE);

    expect(told).toEqual([false, true, true, false, true, false, false]);
  });

  test("has values in all columns to begin with", () => {
    const row = toRow(apply(aFullCard("all"), anAuthorizationOf("all")));
    const empty = Object.entries(row).flatMap(([name, value]) =>
      value === null ? [name] : [],
    );
    expect(empty).toEqual([]);
  });
});
