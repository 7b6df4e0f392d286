import { describe, expect, test } from "@jest/globals";
import type { CardEvent } from "../../src/domain/card-event.ts";
import { explainCard, statementOf } from "../../src/domain/explain-card.ts";
import {
  aCardObserved,
  aStatusAnnounced,
  anAuthorizationReported,
  at,
  cardAfter,
  ordersOf,
} from "../support/events.ts";

const storyOf = (events: readonly CardEvent[]) =>
  explainCard(events.map(statementOf));

/** Each event with what of it does not stand, in short. */
function told(events: readonly CardEvent[]) {
  return storyOf(events).map(({ statement, superseded }) => [
    statement.clock.eventId,
    ...superseded.map(
      ({ field, by, because }) => `${field} by ${by}: ${because}`,
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
  facts: { cardLimit: "5" },
});
const cancelled = aStatusAnnounced({
  eventId: "cancelled",
  status: "CANCELLED",
  changedAt: at("09:00:00"),
});
const pending = anAuthorizationReported({
  eventId: "pending",
  transactionId: "one",
  happenedAt: at("11:00:00"),
  fields: { transactionStatus: "PENDING", description: "waits" },
});
const approved = anAuthorizationReported({
  eventId: "approved",
  transactionId: "one",
  happenedAt: at("10:05:00"),
  fields: { transactionStatus: "APPROVED" },
});

describe("a card's story", () => {
  test("of no event is empty", () => {
    expect(storyOf([])).toEqual([]);
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
      ["frozen", "cardStatus by active: later"],
      ["active"],
    ]);
  });

  test("says that what was announced outweighs what was seen in passing later", () => {
    expect(told([frozen, seen])).toEqual([
      ["frozen"],
      ["seen", "cardStatus by frozen: announced"],
    ]);
  });

  test("says that a cancellation outweighs later news", () => {
    expect(told([active, cancelled])).toEqual([
      ["cancelled"],
      ["active", "cardStatus by cancelled: final"],
    ]);
  });

  test("says that the outcome of a transaction outweighs a later PENDING", () => {
    expect(told([pending, approved])).toEqual([
      ["approved"],
      ["pending", "transactionStatus by approved: final"],
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
    const story = storyOf([frozen, active, seen, cancelled]);

    const cards = story.map(({ after }) => after.card);
    expect(story.map(({ before }) => before.card)).toEqual([
      undefined,
      ...cards.slice(0, -1),
    ]);
    expect(cards.at(-1)).toEqual(cardAfter(frozen, active, seen, cancelled));
  });

  test("tells of a transaction by what was known of this one before", () => {
    const other = anAuthorizationReported({
      eventId: "other",
      transactionId: "two",
      happenedAt: at("10:30:00"),
    });

    const story = storyOf([pending, other, approved]);

    expect(
      story.map(({ before, after }) => [
        before.authorization?.registers.lastEvent?.clock.eventId,
        after.authorization?.transactionId,
      ]),
    ).toEqual([
      [undefined, "one"],
      [undefined, "two"],
      ["approved", "one"],
    ]);
    expect(
      story.at(-1)?.after.authorization?.registers.transactionStatus?.value,
    ).toBe("APPROVED");
  });

  test("breaks a tie of one moment by the code points of the ids, as PostgreSQL does, and not by UTF-16 units", () => {
    const lesser = { ...frozen, eventId: "\uffff" };
    const greater = { ...frozen, status: "ACTIVE", eventId: "\u{10000}" };

    for (const story of [told([lesser, greater]), told([greater, lesser])])
      expect(story).toEqual([
        ["\uffff", "cardStatus by \u{10000}: later"],
        ["\u{10000}"],
      ]);
  });
});
