import { describe, expect, test } from "@jest/globals";
import type { Clock } from "../../../src/domain/clock.ts";
import {
  clockOf,
  compareClocks,
  compareCodePoints,
} from "../../../src/domain/clock.ts";
import { at } from "../../support/events.ts";

const clock: Clock = {
  finality: 0,
  authority: 0,
  at: at("10:00:00"),
  signedAt: at("10:00:00"),
  eventId: "event-1",
};

describe("of two clocks the greater is", () => {
  test.each<[string, Partial<Clock>, Partial<Clock>]>([
    [
      "the more final, whatever else they say",
      {
        finality: 1,
        authority: 0,
        at: at("09:00:00"),
        signedAt: at("09:00:00"),
        eventId: "a",
      },
      {
        finality: 0,
        authority: 1,
        at: at("11:00:00"),
        signedAt: at("11:00:00"),
        eventId: "b",
      },
    ],
    [
      "of the same finality the one with more authority",
      { authority: 1, at: at("09:00:00"), signedAt: at("09:00:00") },
      { authority: 0, at: at("11:00:00"), signedAt: at("11:00:00") },
    ],
    [
      "of the same authority the later one",
      { at: at("10:00:00.000001"), signedAt: at("10:00:01"), eventId: "a" },
      { at: at("10:00:00"), signedAt: at("10:00:02"), eventId: "b" },
    ],
    [
      "at the same time the one that was signed later",
      { signedAt: at("10:00:00.002"), eventId: "a" },
      { signedAt: at("10:00:00.001"), eventId: "b" },
    ],
    [
      "signed at the same time the one with the greater id",
      { eventId: "event-2" },
      { eventId: "event-10" },
    ],
  ])("%s", (_rule, greater, lesser) => {
    const a = { ...clock, ...greater };
    const b = { ...clock, ...lesser };

    expect(compareClocks(a, b)).toBeGreaterThan(0);
    expect(compareClocks(b, a)).toBeLessThan(0);
  });

  test("neither, when they are the same", () => {
    expect(compareClocks(clock, { ...clock })).toBe(0);
  });
});

describe("an event's clock", () => {
  const origin = { eventId: "event-1", signedAt: at("10:00:00") };

  test("bears the event's own time", () => {
    expect(clockOf(origin, at("09:00:00"))).toEqual({
      finality: 0,
      authority: 0,
      at: at("09:00:00"),
      signedAt: at("10:00:00"),
      eventId: "event-1",
    });
  });

  test("bears the time of signing where the event has no time", () => {
    expect(clockOf(origin).at).toBe(at("10:00:00"));
  });

  test("is never later than the signing: a wrong time does not win for ever", () => {
    expect(clockOf(origin, at("10:00:00.000001")).at).toBe(at("10:00:00"));
  });
});

describe("the order of ids", () => {
  test.each([
    ["a", "b"],
    ["Z", "a"],
    ["a", "aa"],
    ["", "a"],
    ["10", "9"],
    ["é", "卡"],
    // UTF-16 units would order these the other way round, and PostgreSQL's "C" as here.
    ["\ue000", "\u{1f4b3}"],
    ["\uffff", "\u{10000}"],
    ["a\ufffd", "a\u{10ffff}"],
    ["\u{1f4b3}", "\u{1f4b4}"],
    ["\u{1f4b3}", "\u{20000}"],
    ["\u{103fe}", "\u{103ff}"],
    ["\ud7ff", "\ue000"],
  ])("%j comes before %j", (first, second) => {
    expect(compareCodePoints(first, second)).toBeLessThan(0);
    expect(compareCodePoints(second, first)).toBeGreaterThan(0);
    expect(compareCodePoints(first, first)).toBe(0);
  });
});
