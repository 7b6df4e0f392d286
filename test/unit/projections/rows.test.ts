import { describe, expect, test } from "@jest/globals";
import type { Clock } from "../../../src/domain/clock.ts";
import { statedAt } from "../../../src/domain/registers.ts";
import { transactions } from "../../../src/projections/transactions.ts";
import { cards } from "../../../src/projections/cards.ts";
import { PROJECTIONS } from "../../../src/projections/index.ts";
import {
  columnsOf,
  dateBack,
  idOf,
  keyOfId,
  keysOf,
  readRow,
  registerColumns,
  statementsIn,
  toRow,
} from "../../../src/projections/rows.ts";
import { decodeEvent } from "../../../src/uqpay/decode-event.ts";
import { compactBytes, payloadNames } from "../../support/fixtures.ts";
import {
  aStatusAnnounced,
  aTransactionReported,
  anOrderFailed,
  aCardholderReported,
  at,
  cardAfter,
  knownAfter,
} from "../../support/events.ts";

const ten: Clock = {
  finality: 0,
  authority: 0,
  at: at("10:00:00"),
  signedAt: at("10:00:00"),
  eventId: "e",
};

describe("a row", () => {
  test.each(
    PROJECTIONS.map((projection) => ({ projection, table: projection.table })),
  )("of $table is read as it was written", ({ projection }) => {
    const known = knownAfter(projection, [
      aTransactionReported(),
      anOrderFailed(),
      aCardholderReported(),
    ]);

    expect(readRow(projection, toRow(projection, known) ?? {})).toEqual(known);
  });

  test("that lacks what every event states is none", () => {
    const { key, registers } = cardAfter(aStatusAnnounced());
    const { last_event_id: _, ...others } = registers;

    expect(toRow(cards, { key, registers: others })).toBeUndefined();
    expect(columnsOf(cards, { key, registers: others })).toMatchObject({
      card_status: "ACTIVE",
      last_event_id: null,
    });
  });

  test("does not know a column that has no clock, nor a clock of no column", () => {
    const row = {
      card_id: "card-1",
      card_limit: "5",
      metadata: { a: "b" },
      field_clocks: {
        metadata: { event_id: "e", at: ten.at, signed_at: ten.at },
        gone: { event_id: "e", at: ten.at, signed_at: ten.at },
      },
    };

    expect(readRow(cards, row)).toEqual({
      key: ["card-1"],
      registers: { metadata: { value: { a: "b" }, clock: ten } },
    });
  });

  test("without clocks cannot be read", () => {
    expect(() => readRow(cards, { card_id: "card-1" })).toThrow("card-1");
  });

  test("has null where a column with a clock has no value", () => {
    const clock = { event_id: "e", at: ten.at, signed_at: ten.at };

    const { registers } = readRow(cards, {
      card_id: "card-1",
      field_clocks: { metadata: clock },
    });

    expect(registers).toEqual({ metadata: { value: null, clock: ten } });
  });

  test("is named by its key, whatever characters are in it", () => {
    const ids = [["a"], ["a", "b"], ["a,b"], ['a","b'], ["b", "a"]].map(idOf);

    expect(ids[0]).toBe("a");
    expect(new Set(ids).size).toBe(ids.length);
  });
});

test("a row's name gives back its key", () => {
  expect(keyOfId(cards, idOf(["[card]"]))).toEqual(["[card]"]);
  expect(keyOfId(transactions, idOf(['a","b', "refund"]))).toEqual([
    'a","b',
    "refund",
  ]);
});

test("rows of which several events speak are named once each", () => {
  const events = [
    aStatusAnnounced({ cardId: "a" }),
    aStatusAnnounced({ cardId: "b" }),
    aStatusAnnounced({ cardId: "a" }),
  ];

  expect(keysOf(statementsIn(cards, events))).toEqual([["a"], ["b"]]);
});

describe("what an event states", () => {
  test.each(payloadNames())("has a column that keeps it: %s", (name) => {
    const decoded = decodeEvent(compactBytes(name), {
      signedAt: at("10:00:00"),
      receivedAt: at("10:00:01"),
    });
    const events = decoded.kind === "known" ? [decoded.event] : [];

    for (const projection of PROJECTIONS) {
      const stated = statementsIn(projection, events).flatMap(({ registers }) =>
        Object.keys(registers),
      );
      expect(registerColumns(projection)).toEqual(
        expect.arrayContaining(stated),
      );
    }
    // Also of what this payload does not state.
    const facts = events.flatMap((event) =>
      "facts" in event ? Object.keys(event.facts) : [],
    );
    expect(registerColumns(cards)).toEqual(expect.arrayContaining(facts));
  });
});

describe("registers of which a copy was signed earlier", () => {
  const nine = at("09:00:00");
  const signedAtOf = new Map([["e", nine]]);

  test("are dated by it where their event's own time is not before that", () => {
    const known = statedAt(ten, { card_limit: "5" });

    expect(dateBack(cards, known, signedAtOf)).toEqual({
      card_limit: { value: "5", clock: { ...ten, at: nine, signedAt: nine } },
    });
  });

  test("keep the event's own time where that is before it", () => {
    const own = { ...ten, at: at("08:00:00"), finality: 2, authority: 1 };
    const known = statedAt(own, { card_status: "CANCELLED" });

    expect(dateBack(cards, known, signedAtOf)).toEqual({
      card_status: { value: "CANCELLED", clock: { ...own, signedAt: nine } },
    });
  });

  test("stay as they are where another event set them", () => {
    const known = statedAt({ ...ten, eventId: "f" }, { card_limit: "5" });

    expect(dateBack(cards, known, signedAtOf)).toEqual(known);
  });

  test("move a first time that is the clock's own, and no time of receipt", () => {
    const seen = statedAt(ten, { first_seen_at: ten.at });
    const received = statedAt(ten, { received_at: ten.at });

    expect(dateBack(cards, seen, signedAtOf)).toMatchObject({
      first_seen_at: { value: nine },
    });
    expect(dateBack(transactions, received, signedAtOf)).toMatchObject({
      received_at: { value: ten.at },
    });
  });
});
