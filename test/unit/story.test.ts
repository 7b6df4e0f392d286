import { describe, expect, test } from "@jest/globals";
import type { CardEvent } from "../../src/domain/card-event.ts";
import { statementsOf, tellStory } from "../../src/operate/story.ts";
import { idOf } from "../../src/projections/rows.ts";
import { transactions } from "../../src/projections/transactions.ts";
import { cards } from "../../src/projections/cards.ts";
import {
  aCardObserved,
  aStatusAnnounced,
  aTransactionReported,
  at,
  cardAfter,
  ordersOf,
} from "../support/events.ts";

const storyOf = (events: readonly CardEvent[]) =>
  tellStory(events.map((event) => statementsOf(event)));

/** Each event with what of it does not stand, in short. */
function told(events: readonly CardEvent[]) {
  return storyOf(events).chapters.map(({ event, superseded }) => [
    event.clock.eventId,
    ...superseded.map(
      ({ column, by, because }) => `${column} by ${by}: ${because}`,
    ),
  ]);
}

const frozen = aStatusAnnounced({
  eventId: "frozen",
  status: "FROZEN",
  changedAt: at("10:00:00"),
});
const active = aStatusAnnounced({
  eventId: "active",
  status: "ACTIVE",
  changedAt: at("11:00:00"),
});
const seen = aCardObserved({
  eventId: "seen",
  status: "ACTIVE",
  signedAt: at("12:00:00"),
  facts: { card_limit: "5" },
});
const cancelled = aStatusAnnounced({
  eventId: "cancelled",
  status: "CANCELLED",
  changedAt: at("09:00:00"),
});
const pending = aTransactionReported({
  eventId: "pending",
  transactionId: "one",
  happenedAt: at("11:00:00"),
  transaction: { transaction_status: "PENDING", description: "waits" },
});
const approved = aTransactionReported({
  eventId: "approved",
  transactionId: "one",
  happenedAt: at("10:05:00"),
  transaction: { transaction_status: "APPROVED" },
});

describe("a card's story", () => {
  test("of no event is empty", () => {
    expect(storyOf([]).chapters).toEqual([]);
  });

  test("of one event says that all of it stands", () => {
    expect(told([seen])).toEqual([["seen"]]);
  });

  test("is in effective order, whatever the order of arrival", () => {
    const stories = ordersOf([frozen, active, seen, pending, approved]).map(
      told,
    );

    for (const story of stories)
      expect(story.map(([id]) => id)).toEqual([
        "frozen",
        "approved",
        "active",
        "pending",
        "seen",
      ]);
    expect(new Set(stories.map((story) => JSON.stringify(story))).size).toBe(1);
  });

  test("says that a later announcement superseded an earlier one", () => {
    expect(told([active, frozen])).toEqual([
      ["frozen", "card_status by active: later"],
      ["active"],
    ]);
  });

  test("says that what was announced outweighs what was seen in passing later", () => {
    expect(told([frozen, seen])).toEqual([
      ["frozen"],
      ["seen", "card_status by frozen: announced"],
    ]);
  });

  test("says that a cancellation outweighs later news", () => {
    expect(told([active, cancelled])).toEqual([
      ["cancelled"],
      ["active", "card_status by cancelled: final"],
    ]);
  });

  test("says that the outcome of a transaction outweighs a later PENDING", () => {
    expect(told([pending, approved])).toEqual([
      ["approved"],
      ["pending", "transaction_status by approved: final"],
    ]);
  });

  test("does not speak of another event's same value as of another one", () => {
    const again = aStatusAnnounced({
      eventId: "again",
      status: "FROZEN",
      changedAt: at("10:30:00"),
    });

    expect(told([frozen, again])).toEqual([["frozen"], ["again"]]);
  });

  test("has a chapter also for an event that says nothing", () => {
    expect(told([aCardObserved({ eventId: "silent" })])).toEqual([["silent"]]);
  });

  test("goes from what the events before an event said to what is known with it", () => {
    const { chapters, standing } = storyOf([frozen, active, seen, cancelled]);

    const statuses = chapters.flatMap(({ changes }) =>
      changes.filter(({ column }) => column === "card_status"),
    );
    expect(statuses.map(({ from, to }) => [from, to])).toEqual([
      [null, "CANCELLED"],
    ]);
    expect(standing.get(cards)?.get("card-1")).toEqual(
      cardAfter(frozen, active, seen, cancelled),
    );
  });

  test("tells of a transaction by what was known of this one before", () => {
    const other = aTransactionReported({
      eventId: "other",
      transactionId: "two",
      happenedAt: at("10:30:00"),
    });

    const { chapters, standing } = storyOf([pending, other, approved]);

    const statuses = chapters.flatMap(({ changes }) =>
      changes.filter(({ column }) => column === "transaction_status"),
    );
    expect(statuses.map(({ id, from, to }) => [id, from, to])).toEqual([
      [idOf(["one", "authorization"]), null, "APPROVED"],
      [idOf(["two", "authorization"]), null, "APPROVED"],
    ]);
    expect([...(standing.get(transactions)?.keys() ?? [])]).toEqual([
      idOf(["one", "authorization"]),
      idOf(["two", "authorization"]),
    ]);
  });

  test("breaks a tie of one moment by the code points of the ids, as PostgreSQL does, and not by UTF-16 units", () => {
    const lesser = { ...frozen, eventId: "\uffff" };
    const greater = { ...frozen, status: "ACTIVE", eventId: "\u{10000}" };

    for (const story of [told([lesser, greater]), told([greater, lesser])])
      expect(story).toEqual([
        ["\uffff", "card_status by \u{10000}: later"],
        ["\u{10000}"],
      ]);
  });
});
