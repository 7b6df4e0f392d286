import { describe, expect, test } from "@jest/globals";
import type { Instant } from "../../../src/domain/instant.ts";
import {
  earlier,
  instantFromEpochMs,
  later,
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

  test("is the same whatever was written before it", () => {
    const seconds = Array.from({ length: 250 }, (_, index) => index);
    const expected = seconds.map((second) =>
      new Date(second * 1000 + 7).toISOString().replace("Z", "000Z"),
    );

    for (let round = 0; round < 2; round++)
      expect(
        seconds.map((second) => instantFromEpochMs(second * 1000 + 7)),
      ).toEqual(expected);
  });

  test("that is a microsecond older is the earlier one", () => {
    const older = "2026-04-12T10:00:00.000001Z" as Instant;
    const newer = "2026-04-12T10:00:00.000002Z" as Instant;

    expect([earlier(older, newer), earlier(newer, older)]).toEqual([
      older,
      older,
    ]);
    expect([later(older, newer), later(newer, older)]).toEqual([newer, newer]);
  });
});
