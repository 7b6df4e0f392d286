import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Card } from "../../src/domain/card.ts";
import { applyToCard } from "../../src/domain/card.ts";
import type { Instant } from "../../src/domain/instant.ts";
import type { CardChange } from "../../src/store/cards.ts";
import { findCards, findUsedCards, saveCards } from "../../src/store/cards.ts";
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

function apply(known: Card | undefined, payload: Payload): Card {
  const signedAt = "2026-04-12T10:00:00.000000Z" as Instant;
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

  test("of which only the use was read leaves all else as it was", async () => {
    const before = await aSavedCard("narrow");
    const authorization = anAuthorizationOf("narrow");
    const [read] = await findUsedCards(store.db, ["narrow"]);

    await save({ before: read, after: apply(read, authorization) });

    expect(await findCards(store.db, ["narrow"])).toEqual([
      apply(before, authorization),
    ]);
  });

  test("refuses to write what was not read", async () => {
    await aSavedCard("unread");
    const [read] = await findUsedCards(store.db, ["unread"]);
    const frozen = aStatusUpdate({ card_id: "unread" });

    await expect(
      save({ before: read, after: apply(read, frozen) }),
    ).rejects.toThrow("only the use was read");
    await expect(
      save({ before: undefined, after: read as Card }),
    ).rejects.toThrow("only the use was read");
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

  test("fails where the row was deleted meanwhile", async () => {
    const before = await aSavedCard("deleted");
    await store.pool.query("delete from cards where card_id = 'deleted'");

    await expect(
      save({ before, after: apply(before, anAuthorizationOf("deleted")) }),
    ).rejects.toThrow("a row of cards was deleted meanwhile");
  });
});
