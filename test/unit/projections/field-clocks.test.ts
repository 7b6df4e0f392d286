import { describe, expect, test } from "@jest/globals";
import type { Clock } from "../../../src/domain/clock.ts";
import type { Json } from "../../../src/domain/json.ts";
import {
  readClocks,
  UnreadableClocksError,
  writeClocks,
} from "../../../src/projections/field-clocks.ts";
import { cards } from "../../../src/projections/cards.ts";
import { readRow, toRow } from "../../../src/projections/rows.ts";
import { aStatusAnnounced, at, cardAfter } from "../../support/events.ts";

const ten: Clock = {
  finality: 0,
  authority: 0,
  at: at("10:00:00"),
  signedAt: at("10:00:01"),
  eventId: "event-1",
};
const announced: Clock = { ...ten, finality: 2, authority: 1 };

const entry = {
  event_id: "event-1",
  at: at("10:00:00"),
  signed_at: at("10:00:01"),
};

describe("the clocks of a row", () => {
  test("are an object by column, with a rank only where there is one", () => {
    const written = writeClocks({
      card_status: { value: "CANCELLED", clock: announced },
      card_number: { value: "4", clock: ten },
    });

    expect(written).toEqual({
      card_status: { ...entry, finality: 2, authority: 1 },
      card_number: entry,
    });
  });

  test.each([
    ["an ordinary one", ten],
    ["a ranked one", announced],
    ["one of an id with any characters", { ...ten, eventId: 'a "b" c, 卡' }],
  ])("are read as they were written: %s", (_what, clock) => {
    const written = writeClocks({ card_limit: { value: "5", clock } });

    expect(readClocks(written)).toEqual(new Map([["card_limit", clock]]));
  });

  test.each<[string, Json]>([
    ["nothing", null],
    ["a list, as earlier builds wrote", [entry]],
    ["a text", "card_limit"],
    ["an entry that is no object", { card_limit: "event-1" }],
    ["an entry that is a list", { card_limit: [] }],
    ["an entry without an id", { card_limit: { ...entry, event_id: null } }],
    ["a time that is none", { card_limit: { ...entry, at: "yesterday" } }],
    ["a time that is a number", { card_limit: { ...entry, signed_at: 5 } }],
    ["a rank that is a text", { card_limit: { ...entry, finality: "2" } }],
    ["another rank", { card_limit: { ...entry, authority: true } }],
  ])(
    "cannot be read from what the service does not write: %s",
    (_, written) => {
      expect(readClocks(written)).toBeUndefined();
    },
  );

  test("that cannot be read stop what would build on the row, and say which one and what to do", () => {
    const row = { ...toRow(cards, cardAfter(aStatusAnnounced())) };

    const read = () => readRow(cards, { ...row, field_clocks: [] });

    expect(read).toThrow(UnreadableClocksError);
    expect(read).toThrow(
      "cards.field_clocks of card-1 is unreadable (edited by hand?): run rebuild",
    );
  });
});
