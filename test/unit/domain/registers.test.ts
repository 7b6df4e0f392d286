import { describe, expect, test } from "@jest/globals";
import type { Clock } from "../../../src/domain/clock.ts";
import {
  dateBack,
  mergeRegisters,
  registersOf,
} from "../../../src/domain/registers.ts";
import { at } from "../../support/events.ts";

interface Fields {
  name: string;
  limit: string;
}

function clock(time: string): Clock {
  const instant = at(time);
  return {
    finality: 0,
    authority: 0,
    at: instant,
    signedAt: instant,
    eventId: "e",
  };
}

const ten = clock("10:00:00");
const eleven = clock("11:00:00");

describe("registers", () => {
  test("date what is stated and nothing else", () => {
    const registers = registersOf<Fields>({ name: "", limit: undefined }, ten);

    expect(registers).toStrictEqual({ name: { value: "", clock: ten } });
  });

  test("merge field by field by the greater clock", () => {
    const a = registersOf<Fields>({ name: "a" }, eleven);
    const b = registersOf<Fields>({ name: "b", limit: "1" }, ten);

    const merged = {
      name: { value: "a", clock: eleven },
      limit: { value: "1", clock: ten },
    };
    expect(mergeRegisters<Fields>(a, b)).toEqual(merged);
    expect(mergeRegisters<Fields>(b, a)).toEqual(merged);
  });

  test("are the very same when nothing is new", () => {
    const known = registersOf<Fields>({ name: "a", limit: "1" }, eleven);
    const older = registersOf<Fields>({ name: "b" }, ten);

    expect(mergeRegisters(known, older)).toBe(known);
    expect(mergeRegisters(known, { ...known })).toBe(known);
    expect(mergeRegisters<Fields>(known, {})).toBe(known);
  });

  test("are not changed by what they are merged with", () => {
    const known = registersOf<Fields>({ name: "a" }, ten);

    mergeRegisters(known, registersOf<Fields>({ name: "b" }, eleven));

    expect(known).toEqual({ name: { value: "a", clock: ten } });
  });

  test("a register without a value is no news", () => {
    const known = registersOf<Fields>({ name: "a" }, ten);
    const none = { name: undefined } as unknown as typeof known;

    expect(mergeRegisters(known, none)).toBe(known);
  });
});

describe("registers of which a copy was signed earlier", () => {
  const nine = at("09:00:00");
  const signedAtOf = new Map([["e", nine]]);

  test("are dated by it where their event's own time is not before that", () => {
    const known = registersOf<Fields>({ name: "a" }, ten);

    expect(dateBack(known, signedAtOf)).toEqual({
      name: { value: "a", clock: { ...ten, at: nine, signedAt: nine } },
    });
  });

  test("keep the event's own time where that is before it", () => {
    const own = { ...ten, at: at("08:00:00"), finality: 2, authority: 1 };
    const known = registersOf<Fields>({ name: "a" }, own);

    expect(dateBack(known, signedAtOf)).toEqual({
      name: { value: "a", clock: { ...own, signedAt: nine } },
    });
  });

  test("stay as they are where another event set them", () => {
    const known = registersOf<Fields>({ name: "a" }, { ...ten, eventId: "f" });

    expect(dateBack(known, signedAtOf)).toEqual(known);
  });
});
