import { describe, expect, test } from "@jest/globals";
import type { Clock } from "../../../src/domain/clock.ts";
import type { Registers } from "../../../src/domain/registers.ts";
import { mergeRegisters, statedAt } from "../../../src/domain/registers.ts";
import { at } from "../../support/events.ts";

function clock(time: string, eventId = "e"): Clock {
  const instant = at(time);
  return { finality: 0, authority: 0, at: instant, signedAt: instant, eventId };
}

const ten = clock("10:00:00");
const eleven = clock("11:00:00");

const merge = (known: Registers, news: Registers) =>
  mergeRegisters(known, news, (column) =>
    column === "first" ? "earliest" : "latest",
  );

describe("registers", () => {
  test("date what is stated and nothing else", () => {
    const registers = statedAt(ten, {
      name: "",
      reason: null,
      limit: undefined,
    });

    expect(registers).toStrictEqual({
      name: { value: "", clock: ten },
      reason: { value: null, clock: ten },
    });
  });

  test("merge column by column by the greater clock", () => {
    const a = statedAt(eleven, { name: "a" });
    const b = statedAt(ten, { name: "b", limit: "1" });

    const merged = {
      name: { value: "a", clock: eleven },
      limit: { value: "1", clock: ten },
    };
    expect(merge(a, b)).toEqual(merged);
    expect(merge(b, a)).toEqual(merged);
  });

  test("keep the lesser time where the earliest counts, whatever its clock", () => {
    const early = statedAt(eleven, { first: at("09:00:00") });
    const late = statedAt(ten, { first: at("12:00:00") });

    expect(merge(early, late)).toBe(early);
    expect(merge(late, early)).toEqual(early);
  });

  test("of the same earliest time keep the lesser clock", () => {
    const first = at("09:00:00");
    const lesser = statedAt(clock("10:00:00", "a"), { first });
    const greater = statedAt(clock("10:00:00", "b"), { first });

    expect(merge(lesser, greater)).toBe(lesser);
    expect(merge(greater, lesser)).toEqual(lesser);
  });

  test("are the very same when nothing is new", () => {
    const known = statedAt(eleven, { name: "a", first: at("09:00:00") });

    expect(merge(known, statedAt(ten, { name: "b" }))).toBe(known);
    expect(merge(known, { ...known })).toBe(known);
    expect(merge(known, {})).toBe(known);
  });

  test("are not changed by what they are merged with", () => {
    const known = statedAt(ten, { name: "a" });

    merge(known, statedAt(eleven, { name: "b" }));

    expect(known).toEqual({ name: { value: "a", clock: ten } });
  });
});
