import { describe, expect, test } from "@jest/globals";
import type { Instant } from "../../../src/domain/instant.ts";
import {
  earlier,
  earliestKnown,
  epochMsOf,
  instantFromEpochMs,
} from "../../../src/domain/instant.ts";

describe("an instant", () => {
  test.each([
    [0, "1970-01-01T00:00:00.000000Z"],
    [1_776_000_000_123, "2026-04-12T13:20:00.123000Z"],
    [-1, "1969-12-31T23:59:59.999000Z"],
    [253_402_300_799_999, "9999-12-31T23:59:59.999000Z"],
  ])("%d milliseconds after 1970 is %s", (epochMs, instant) => {
    expect(instantFromEpochMs(epochMs)).toBe(instant);
  });

  test.each([
    ["1970-01-01T00:00:00.000000Z", 0],
    ["2026-04-12T13:20:00.123999Z", 1_776_000_000_123],
    ["1969-12-31T23:59:59.999000Z", -1],
    ["2024-02-29T12:34:56.000001Z", Date.UTC(2024, 1, 29, 12, 34, 56)],
    ["9999-12-31T23:59:59.999999Z", 253_402_300_799_999],
  ])("%s is %d milliseconds after 1970", (instant, epochMs) => {
    expect(epochMsOf(instant as Instant)).toBe(epochMs);
  });

  test.each(["0001-01-01", "0050-06-30", "0099-12-31", "0100-03-01"])(
    "%s is that day",
    (date) => {
      const instant = `${date}T23:59:58.000000Z` as Instant;

      expect(instantFromEpochMs(epochMsOf(instant))).toBe(instant);
      expect(epochMsOf(instant)).toBe(Date.parse(instant));
    },
  );

  test.each([
    ["", "000000"],
    ["5", "500000"],
    ["000001", "000001"],
    ["123456789", "123456"],
  ])(
    "of a second with the decimals %j has %s microseconds",
    (decimals, kept) => {
      expect(instantFromEpochMs(1_776_000_000_999, decimals)).toBe(
        `2026-04-12T13:20:00.${kept}Z`,
      );
    },
  );

  test("that is a microsecond older is the earlier one", () => {
    const older = "2026-04-12T10:00:00.000001Z" as Instant;
    const newer = "2026-04-12T10:00:00.000002Z" as Instant;

    expect([earlier(older, newer), earlier(newer, older)]).toEqual([
      older,
      older,
    ]);
    expect(earliestKnown(newer, older)).toBe(older);
  });

  test("that is known comes before one that is not", () => {
    const known = "2026-04-12T10:00:00.000001Z" as Instant;

    expect(earliestKnown(undefined, known)).toBe(known);
    expect(earliestKnown(known, undefined)).toBe(known);
    expect(earliestKnown(undefined, undefined)).toBeUndefined();
  });
});
