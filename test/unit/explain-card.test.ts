import { describe, expect, test } from "@jest/globals";
import type { CardEvent } from "../../src/domain/card-event.ts";
import {
  explainCard,
  isAuthorizationReported,
} from "../../src/domain/explain-card.ts";
import {
  aCardObserved,
  aStatusAnnounced,
  anAuthorizationReported,
  at,
  cardAfter,
  ordersOf,
} from "../support/events.ts";

/** Each event's fields with what became of them, in short. */
function told(events: readonly CardEvent[]) {
  return explainCard(events).map(({ event, fields }) => [
    event.eventId,
    ...fields.map(({ field, fate }) =>
      fate.kind === "stands"
        ? `${field} stands`
        : `${field} by ${fate.by}: ${fate.because}`,
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

describe("a card's story", () => {
  test("of no event is empty", () => {
    expect(explainCard([])).toEqual([]);
  });

  test("of one event says that all of it stands", () => {
    expect(told([seen])).toEqual([
      [
        "seen",
        "cardLimit stands",
        "cardStatus stands",
        "observedStatus stands",
      ],
    ]);
  });

  test("is in effective order, whatever the order of arrival", () => {
    const stories = ordersOf([frozen, active, seen]).map(told);

    for (const story of stories)
      expect(story.map(([id]) => id)).toEqual(["frozen", "active", "seen"]);
    expect(new Set(stories.map((story) => JSON.stringify(story))).size).toBe(1);
  });

  test("says that a later announcement superseded an earlier one", () => {
    expect(told([active, frozen])).toEqual([
      ["frozen", "cardStatus by active: later"],
      ["active", "cardStatus stands"],
    ]);
  });

  test("says that what was announced outweighs what was seen in passing later", () => {
    expect(told([frozen, seen])).toEqual([
      ["frozen", "cardStatus stands"],
      [
        "seen",
        "cardLimit stands",
        "cardStatus by frozen: announced",
        "observedStatus stands",
      ],
    ]);
  });

  test("says that a cancellation outweighs later news", () => {
    expect(told([active, cancelled])).toEqual([
      ["cancelled", "cardStatus stands"],
      ["active", "cardStatus by cancelled: final"],
    ]);
  });

  test("tells what an authorization says of the card", () => {
    const authorization = anAuthorizationReported({
      eventId: "authorization",
      happenedAt: at("10:30:00"),
      facts: { availableBalance: "7" },
    });

    expect(told([authorization])).toEqual([
      ["authorization", "availableBalance stands"],
    ]);
  });

  test("has a chapter also for an event that says nothing", () => {
    expect(told([aCardObserved({ eventId: "silent" })])).toEqual([["silent"]]);
  });

  test("names as standing exactly what the card shows", () => {
    const events = [frozen, active, seen, cancelled];

    const standing = explainCard(events).flatMap(({ fields }) =>
      fields.flatMap(({ field, value, fate }) =>
        fate.kind === "stands" ? [[field, value]] : [],
      ),
    );

    const { registers } = cardAfter(...events);
    expect(Object.fromEntries(standing)).toEqual(
      Object.fromEntries(
        Object.entries(registers)
          .filter(([field]) => field !== "lastEvent")
          .map(([field, register]) => [field, register.value]),
      ),
    );
  });

  test("breaks a tie of one moment by the code points of the ids, as PostgreSQL does, and not by UTF-16 units", () => {
    const lesser = { ...frozen, eventId: "\uffff" };
    const greater = { ...frozen, eventId: "\u{10000}" };

    for (const story of [told([lesser, greater]), told([greater, lesser])])
      expect(story).toEqual([
        ["\uffff", "cardStatus by \u{10000}: later"],
        ["\u{10000}", "cardStatus stands"],
      ]);
  });

  test("of the same event twice says of both that they stand", () => {
    expect(told([frozen, frozen])).toEqual([
      ["frozen", "cardStatus stands"],
      ["frozen", "cardStatus stands"],
    ]);
  });
});

describe("an event", () => {
  test("tells of a transaction only when it is an authorization", () => {
    expect(
      [frozen, seen, anAuthorizationReported()].map(isAuthorizationReported),
    ).toEqual([false, false, true]);
  });
});
