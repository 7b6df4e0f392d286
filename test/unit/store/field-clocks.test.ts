import { describe, expect, test } from "@jest/globals";
import type { Clock } from "../../../src/domain/clock.ts";
import type { Json } from "../../../src/domain/json.ts";
import {
  fieldClocks,
  UnreadableClocksError,
} from "../../../src/store/field-clocks.ts";
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
      `${at("10:00:00")} ${at("10:00:01")} 0 0 card_limit,card_number event-1`,
      `${at("10:00:00")} ${at("10:00:01")} 2 1 status event-1`,
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
      `${ten.at} ${ten.signedAt} 0 0 card_number,card_limit,gone event-1`,
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

  test.each([
    ["a list", ["card_number", "status"]],
    ["a text", "card_number status"],
  ])(
    "come back from the objects that earlier builds wrote, their fields in %s",
    (_, fields) => {
      const { at, signedAt: signed_at, eventId: event_id } = ten;
      const column = [
        { at, signed_at, event_id, fields },
        {
          at,
          signed_at,
          event_id,
          fields: "card_limit",
          finality: 2,
          authority: 1,
        },
      ];

      expect(clocks.readClocks(column, "unread" as never)).toEqual({
        cardNumber: { value: "unread", clock: ten },
        status: { value: "unread", clock: ten },
        cardLimit: { value: "unread", clock: announced },
      });
      expect(clocks.rewrite(column, {})).toEqual([
        `${at} ${signed_at} 0 0 card_number,status event-1`,
        `${at} ${signed_at} 2 1 card_limit event-1`,
      ]);
    },
  );

  test("stay as they are when one is a text, also one that no build writes so", () => {
    const { at, signedAt: signed_at } = ten;
    const text = `${at} ${signed_at} 0 0 status,gone,status event-1`;
    const mixed = [text, { at, signed_at, event_id: "event-2", fields: "" }];

    for (const column of [[text], mixed])
      expect(clocks.rewrite(column, {})).toBe(column);
    expect(clocks.rewrite([], {})).toEqual([]);
  });

  const earlier = {
    at: ten.at,
    signed_at: ten.signedAt,
    event_id: "event-1",
    fields: "status",
  };

  test.each<[string, Json]>([
    ["no list", earlier],
    ["null", null],
    ["an entry that is neither text nor object", [7]],
    ["a text that is no clock", ["status"]],
    ["an object without an event", [{ ...earlier, event_id: null }]],
    ["an object without fields", [{ ...earlier, fields: {} }]],
    [
      "an object with no number where one belongs",
      [{ ...earlier, finality: "1" }],
    ],
    ["a right one and null", [earlier, null]],
  ])("are not read where they are %s", (_, column) => {
    const values = { status: "ACTIVE", cardNumber: "4", cardLimit: "5" };

    expect(() => clocks.read(column, values)).toThrow(UnreadableClocksError);
    expect(() => clocks.readClocks(column, undefined as never)).toThrow(
      UnreadableClocksError,
    );
    expect(clocks.readIfPossible(column, values)).toEqual({});
    expect(clocks.rewrite(column, values)).toBe(column);
    expect(clocks.readIfPossible([earlier], values)).toEqual({
      status: { value: "ACTIVE", clock: ten },
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

  test.each([
    ["the signs of JSON", 'a "quoted"\\ id\n'],
    ["what an entry consists of", ` ${ten.at} 0 0 status,card_limit * `],
    ["more than a hundred signs", "x".repeat(255)],
  ])("an event_id with %s comes back", (_, eventId) => {
    const clock = { ...ten, eventId };
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
      expect(write(registersOf(set))).toEqual([
        expect.stringContaining(` ${set.toSorted().join()} `),
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
    ).toEqual([
      expect.stringContaining(` ${names.slice(0, 30).toSorted().join()} `),
    ]);
  });
});

describe("the clocks of a table whose rows come from one event as a rule", () => {
  const abbreviated = fieldClocks<Fields>(
    { status: true, cardNumber: true, cardLimit: true },
    { abbreviated: true },
  );
  const values = { status: "ACTIVE", cardNumber: "4", cardLimit: null };

  test.each([
    ["no field, where all share one", ten, [" 0 0 * event-1"]],
    [
      "their fields, where there are two",
      eleven,
      [" 0 0 card_number event-1", " 0 0 status event-2"],
    ],
  ])("name %s, and come back to what has a value", (_, clock, ends) => {
    const registers = {
      status: { value: "ACTIVE", clock },
      cardNumber: { value: "4", clock: ten },
    };

    const column = abbreviated.write(registers);

    expect(column).toEqual(ends.map((end) => expect.stringContaining(end)));
    expect(abbreviated.read(column, values)).toEqual(registers);
  });

  test.each([
    [
      "no field, where it named all that the row has",
      "card_number status",
      "*",
    ],
    ["those that it named, where the row has more", "status", "status"],
  ])(
    "name %s, when they are rewritten from an earlier build's object",
    (_, fields, rewritten) => {
      const { at, signedAt: signed_at, eventId: event_id } = ten;
      const row = { status: "ACTIVE", card_number: "4", card_limit: null };

      expect(
        abbreviated.rewrite([{ at, signed_at, event_id, fields }], row),
      ).toEqual([`${at} ${signed_at} 0 0 ${rewritten} event-1`]);
    },
  );

  test("hold as many fields as a set does", () => {
    const names = Array.from({ length: 30 }, (_, n) => `f${String(n)}`);
    const most = fieldClocks<Record<string, string>>(
      Object.fromEntries(names.map((name) => [name, true])),
      { abbreviated: true },
    );

    expect(
      most.read(
        most.write(registersOf(names)),
        Object.fromEntries(names.map((name) => [name, ""])),
      ),
    ).toEqual(registersOf(names));
  });
});
