import { describe, expect, test } from "@jest/globals";
import type { Clock } from "../../../src/domain/clock.ts";
import { fieldClocks } from "../../../src/store/field-clocks.ts";
import { at } from "../../support/events.ts";

interface Fields {
  cardNumber: string;
  cardLimit: string;
  status: string;
}

const clocks = fieldClocks<Fields>({
  status: true,
  cardNumber: true,
  cardLimit: true,
});

const ten: Clock = {
  finality: 0,
  authority: 0,
  at: at("10:00:00"),
  signedAt: at("10:00:01"),
  eventId: "event-1",
};
const announced: Clock = { ...ten, finality: 2, authority: 1 };
const eleven: Clock = { ...ten, at: at("11:00:00"), eventId: "event-2" };

const registersOf = (names: readonly string[]) =>
  Object.fromEntries(
    names.map((name) => [name, { value: "", clock: ten }] as const),
  );

describe("the clocks of a row", () => {
  test("are one entry for each clock, under the names of columns", () => {
    const column = clocks.write({
      status: { value: "CANCELLED", clock: announced },
      cardNumber: { value: "4", clock: ten },
      cardLimit: { value: "5", clock: { ...ten } },
    });

    expect(column).toEqual([
      {
        at: at("10:00:00"),
        signed_at: at("10:00:01"),
        event_id: "event-1",
        fields: "card_limit card_number",
      },
      {
        at: at("10:00:00"),
        signed_at: at("10:00:01"),
        event_id: "event-1",
        finality: 2,
        authority: 1,
        fields: "status",
      },
    ]);
  });

  test("are written the same whatever the order of the fields", () => {
    const one = clocks.write({
      cardLimit: { value: "5", clock: eleven },
      cardNumber: { value: "4", clock: ten },
    });
    const other = clocks.write({
      cardNumber: { value: "4", clock: ten },
      cardLimit: { value: "5", clock: eleven },
    });

    expect(JSON.stringify(one)).toBe(JSON.stringify(other));
  });

  test("come back to the values of their row", () => {
    const registers = {
      status: { value: "CANCELLED", clock: announced },
      cardNumber: { value: "4", clock: ten },
      cardLimit: { value: "5", clock: eleven },
    };

    const read = clocks.read(clocks.write(registers), {
      status: "CANCELLED",
      cardNumber: "4",
      cardLimit: "5",
    });

    expect(read).toEqual(registers);
  });

  test("of a value that is null, or of a field that is gone, are not read", () => {
    const column = [
      {
        at: ten.at,
        signed_at: ten.signedAt,
        event_id: "event-1",
        fields: "card_number card_limit gone",
      },
    ];

    const read = clocks.read(column, {
      cardNumber: "4",
      cardLimit: null,
      status: "ACTIVE",
    });

    expect(read).toEqual({ cardNumber: { value: "4", clock: ten } });
    expect(clocks.readClocks(column, "unread" as never)).toEqual({
      cardNumber: { value: "unread", clock: ten },
      cardLimit: { value: "unread", clock: ten },
    });
  });

  test("come back from the list of fields that an earlier build wrote", () => {
    const column = [
      {
        at: ten.at,
        signed_at: ten.signedAt,
        event_id: "event-1",
        fields: ["card_number", "status"],
      },
    ];

    expect(clocks.readClocks(column, "unread" as never)).toEqual({
      cardNumber: { value: "unread", clock: ten },
      status: { value: "unread", clock: ten },
    });
  });

  test("come back in one order, whatever that of the events", () => {
    const fieldsOf = (first: Clock, second: Clock) =>
      Object.keys(
        clocks.readClocks(
          clocks.write({
            status: { value: "ACTIVE", clock: first },
            cardLimit: { value: "5", clock: second },
            cardNumber: { value: "4", clock: first },
          }),
          "unread" as never,
        ),
      );

    expect(fieldsOf(ten, eleven)).toEqual([
      "cardLimit",
      "cardNumber",
      "status",
    ]);
    expect(fieldsOf(eleven, ten)).toEqual([
      "cardLimit",
      "cardNumber",
      "status",
    ]);
  });

  test("a register without a clock is not written", () => {
    const registers = { cardNumber: undefined } as unknown as Record<
      keyof Fields,
      never
    >;

    expect(clocks.write(registers)).toEqual([]);
  });

  test("an event_id with the signs of JSON comes back", () => {
    const clock = { ...ten, eventId: 'a "quoted"\\ id\n' };
    const registers = { cardNumber: { value: "4", clock } };

    expect(
      clocks.readClocks(clocks.write(registers), undefined as never),
    ).toEqual({ cardNumber: { value: undefined, clock } });
  });

  test("every set of fields is listed as it is, however many there were before", () => {
    const names = Array.from({ length: 12 }, (_, n) => `field_${String(n)}`);
    const { write } = fieldClocks<Record<string, string>>(
      Object.fromEntries(names.map((name) => [name, true])),
    );
    const sets = Array.from({ length: 2 ** names.length - 1 }, (_, set) =>
      names.filter((_, at) => (set + 1) & (1 << at)),
    );

    for (const set of [...sets, ...sets]) {
      expect(write(registersOf(set))).toMatchObject([
        { fields: set.toSorted().join(" ") },
      ]);
    }
  });

  test("a table cannot have more fields than fit into a set", () => {
    const names = Array.from({ length: 31 }, (_, n) => `f${String(n)}`);
    const fields = (count: number) =>
      Object.fromEntries(
        names.slice(0, count).map((name) => [name, true] as const),
      );

    expect(() => fieldClocks<Record<string, string>>(fields(31))).toThrow(
      "no more than 30 fields",
    );
    expect(
      fieldClocks<Record<string, string>>(fields(30)).write(
        registersOf(names.slice(0, 30)),
      ),
    ).toMatchObject([{ fields: names.slice(0, 30).toSorted().join(" ") }]);
  });
});
