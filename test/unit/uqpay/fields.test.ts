import { describe, expect, test } from "@jest/globals";
import * as fields from "../../../src/uqpay/fields.ts";
import { parseJsonText } from "../../../src/uqpay/parse-json.ts";
import { outcomeOf } from "../../support/readings.ts";

const { isObject } = fields;
const readAmount = outcomeOf(fields.readAmount);
const readGluedAmount = outcomeOf(fields.readGluedAmount);
const readId = outcomeOf(fields.readId);
const readInstant = outcomeOf(fields.readInstant);
const readInstantOrUnset = outcomeOf(fields.readInstantOrUnset);
const readJsonObject = outcomeOf(fields.readJsonObject);
const readMcc = outcomeOf(fields.readMcc);
const readStatus = outcomeOf(fields.readStatus);
const readText = outcomeOf(fields.readText);
const readWord = outcomeOf(fields.readWord);

const aFault = { fault: expect.any(String) };

/** One character, two UTF-16 units. */
const ASTRAL = "\u{1f4b3}";
const LONE_SURROGATE = "\ud83d";

describe("an amount", () => {
  test.each([
    ["1.10", "1.10"],
    ["1.1", "1.1"],
    ["0", "0"],
    ["0.00", "0.00"],
    ["-5.50", "-5.50"],
    ["+5.50", "5.50"],
    [".5", "0.5"],
    ["5.", "5"],
    ["007.50", "7.50"],
    ["000", "0"],
    [" 12.30 ", "12.30"],
    ["1e2", "100"],
    ["1E2", "100"],
    ["1e+2", "100"],
    ["1.5e1", "15"],
    ["1.50e1", "15.0"],
    ["1.234e2", "123.4"],
    ["1e-2", "0.01"],
    ["12.5e-1", "1.25"],
    ["-1.5e-3", "-0.0015"],
    [".5e1", "5"],
    ["1e0", "1"],
    ["12345678901234567890.12", "12345678901234567890.12"],
    ["9".repeat(200), "9".repeat(200)],
    ["1e199", `1${"0".repeat(199)}`],
  ])("the text %j is %s exactly", (text, value) => {
    expect(readAmount(text)).toEqual({ value });
  });

  test.each([
    [0, "0"],
    [80_000, "80000"],
    [2100.02, "2100.02"],
    [-0.5, "-0.5"],
    [1e21, "1000000000000000000000"],
    [1e-7, "0.0000001"],
  ])("the number %d is %s", (number, value) => {
    expect(readAmount(number)).toEqual({ value });
  });

  test.each(["-0", "-0.00", -0])(
    "negative zero (%j) is zero by value",
    (zero) => {
      const amount = readAmount(zero);

      expect(Number("value" in amount ? amount.value : NaN)).toBeCloseTo(0, 20);
    },
  );

  test.each([
    "NaN",
    "Infinity",
    "-Infinity",
    "0x10",
    "0b1",
    "1,000",
    "1 000",
    "1_000",
    "1.2.3",
    "--1",
    "+-1",
    "1e",
    "e5",
    ".",
    "-",
    ".e1",
    "1e1.5",
    "12USD",
    "١٢",
    "１２",
    "  ",
    "1e9999999",
  ])("the text %j is none", (text) => {
    expect(readAmount(text)).toEqual({
      fault: "must be a decimal, as text or number",
    });
  });

  test.each([[true], [null], [[]], [{}], [["1"]], [NaN], [Infinity]])(
    "%p is none",
    (input) => {
      expect(readAmount(input)).toEqual({
        fault: "must be a decimal, as text or number",
      });
    },
  );

  test.each([
    "1e400000",
    "1e-400000",
    "1e200",
    "1e-200",
    "9".repeat(201),
    `0.${"1".repeat(200)}`,
  ])("with more than 200 digits (%s) is refused", (text) => {
    expect(readAmount(text)).toEqual({
      fault: "must have at most 200 digits",
    });
  });

  test("of 250,000 digits is refused", () => {
    expect(readAmount("9".repeat(250_000))).toEqual({
      fault: "must have at most 200 digits",
    });
  });

  test.each([
    ["2000USD", "2000"],
    ["2000 USD", "2000"],
    [" 2000.50USD ", "2000.50"],
    ["2000usd", "2000"],
    ["2000", "2000"],
    [2000, "2000"],
    ["-5.50USD", "-5.50"],
  ])("glued to a currency (%j) is %s", (glued, value) => {
    expect(readGluedAmount(glued)).toEqual({ value });
  });

  test.each(["USD", " SGD "])(
    "a currency alone (%j) is an unset amount",
    (glued) => {
      expect(readGluedAmount(glued)).toEqual({ value: undefined });
    },
  );

  test.each(["1.2.3USD", ".USD", "2000US", "2000USDT", "$2000", ["2000USD"]])(
    "glued to something else (%j) is none",
    (glued) => {
      expect(readGluedAmount(glued)).toEqual(aFault);
    },
  );
});

describe("a merchant category code", () => {
  test.each([
    ["5734", "5734"],
    ["0742", "0742"],
    ["0000", "0000"],
    [" 5734 ", "5734"],
    [5734, "5734"],
    [742, "0742"],
    [0, "0000"],
    ["742", "0742"],
    [" 42 ", "0042"],
    ["5", "0005"],
    ["0", "0000"],
  ])("%j is %s", (input, value) => {
    expect(readMcc(input)).toEqual({ value });
  });

  test.each([
    "",
    " ",
    "05734",
    "57341",
    "57a4",
    "5734-",
    "-734",
    "５７３４",
    "1e2",
    12_345,
    -1,
    -734,
    1.5,
    5.73,
    NaN,
    true,
    ["5734"],
  ])("%j is none", (input) => {
    expect(readMcc(input)).toEqual({
      fault: "must be a merchant category code of one to four digits",
    });
  });
});

describe("a time", () => {
  test.each([
    ["2026-04-12T15:27:39Z", "2026-04-12T15:27:39.000000Z"],
    ["2026-04-12T15:27:39.4Z", "2026-04-12T15:27:39.400000Z"],
    ["2026-04-12T15:27:39.48Z", "2026-04-12T15:27:39.480000Z"],
    ["2026-04-12T15:27:39.480Z", "2026-04-12T15:27:39.480000Z"],
    ["2026-04-12T15:27:39.4801Z", "2026-04-12T15:27:39.480100Z"],
    ["2026-04-12T15:27:39.48012Z", "2026-04-12T15:27:39.480120Z"],
    ["2026-04-12T15:27:39.480123Z", "2026-04-12T15:27:39.480123Z"],
    ["2026-04-12T15:27:39.4801230Z", "2026-04-12T15:27:39.480123Z"],
    ["2026-04-12T15:27:39.48012300Z", "2026-04-12T15:27:39.480123Z"],
    ["2026-04-12T15:27:39.480123000Z", "2026-04-12T15:27:39.480123Z"],
    ["2026-04-12T15:27:39.999999999Z", "2026-04-12T15:27:39.999999Z"],
    ["2026-04-12T15:27:39,48Z", "2026-04-12T15:27:39.480000Z"],
    ["2026-04-12T15:27Z", "2026-04-12T15:27:00.000000Z"],
    ["2026-04-12 15:27:39Z", "2026-04-12T15:27:39.000000Z"],
    ["2026-04-12t15:27:39z", "2026-04-12T15:27:39.000000Z"],
    [" 2026-04-12T15:27:39Z ", "2026-04-12T15:27:39.000000Z"],
    ["2026-04-12T15:27:39+08:00", "2026-04-12T07:27:39.000000Z"],
    ["2026-04-12T15:27:39+0800", "2026-04-12T07:27:39.000000Z"],
    ["2026-04-12T15:27:39+08", "2026-04-12T07:27:39.000000Z"],
    ["2026-04-12T15:27:39.563+08:00", "2026-04-12T07:27:39.563000Z"],
    ["2026-04-12T15:27:39-08:00", "2026-04-12T23:27:39.000000Z"],
    ["2026-04-12T15:27:39+05:45", "2026-04-12T09:42:39.000000Z"],
    ["2026-04-12T15:27:39-03:30", "2026-04-12T18:57:39.000000Z"],
    ["2026-04-12T15:27:39+00:00", "2026-04-12T15:27:39.000000Z"],
    ["2026-04-12T15:27:39-00:00", "2026-04-12T15:27:39.000000Z"],
    ["2026-01-01T00:00:00+15:59", "2025-12-31T08:01:00.000000Z"],
    ["2025-12-31T23:59:59.999999-15:59", "2026-01-01T15:58:59.999999Z"],
    ["2024-02-29T12:00:00Z", "2024-02-29T12:00:00.000000Z"],
    ["0001-01-02T00:00:00Z", "0001-01-02T00:00:00.000000Z"],
    ["9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"],
  ])("%j is %s", (text, value) => {
    expect(readInstant(text)).toEqual({ value });
    expect(readInstantOrUnset(text)).toEqual({ value });
  });

  test.each([
    ["without an offset", "2026-04-12T15:27:39"],
    ["without an offset, as REST answers have it", "2024-05-09 15:52:23"],
    ["without a time", "2026-04-12"],
    ["without a date", "15:27:39Z"],
    ["on 30 February", "2026-02-30T12:00:00Z"],
    ["on 29 February of a common year", "2026-02-29T12:00:00Z"],
    ["in month 13", "2026-13-01T12:00:00Z"],
    ["in month 0", "2026-00-10T12:00:00Z"],
    ["on day 0", "2026-04-00T12:00:00Z"],
    ["at 24:00", "2026-04-12T24:00:00Z"],
    ["at minute 60", "2026-04-12T12:60:00Z"],
    ["at second 61", "2026-04-12T12:00:61Z"],
    ["with ten decimals", "2026-04-12T12:00:00.1234567890Z"],
    ["with a point and no decimals", "2026-04-12T12:00:00.Z"],
    ["with decimals of a minute", "2026-04-12T15:27.5Z"],
    ["with an offset of 16 hours", "2026-04-12T12:00:00+16:00"],
    ["with an offset of 60 minutes", "2026-04-12T12:00:00+08:60"],
    ["with half an offset", "2026-04-12T12:00:00+8"],
    ["with an offset that ends in a colon", "2026-04-12T12:00:00+08:"],
    ["with a name of a zone", "2026-04-12T12:00:00 CST"],
    ["with two digits of the year", "26-04-12T12:00:00Z"],
    ["in the year 0", "0000-06-01T12:00:00Z"],
    ["in the year 10000 once in UTC", "9999-12-31T23:00:00-08:00"],
    ["that is the zero date", "0001-01-01T00:00:00Z"],
    ["in other digits", "２０２６-04-12T12:00:00Z"],
    ["in Go's own words", "2026-04-01 00:00:00 +0000 UTC"],
    ["of nothing", ""],
    ["of 250,000 digits", "1".repeat(250_000)],
  ])("%s is none", (_what, text) => {
    expect(readInstant(text)).toEqual({
      fault: "must be an ISO 8601 time with an offset",
    });
  });

  test("is read by its own decimals and offset, also where others of its second were read before", () => {
    const times = [
      "2026-04-12T15:27:39.1+08:00",
      "2026-04-12T15:27:39.2+08:00",
      "2026-04-12T15:27:39.1-08:00",
      "2026-04-12T15:27:39.1Z",
      "2026-02-30T15:27:39.1Z",
      "2026-02-30T15:27:39.2Z",
    ];

    expect(times.map(readInstant)).toEqual([
      { value: "2026-04-12T07:27:39.100000Z" },
      { value: "2026-04-12T07:27:39.200000Z" },
      { value: "2026-04-12T23:27:39.100000Z" },
      { value: "2026-04-12T15:27:39.100000Z" },
      aFault,
      aFault,
    ]);
  });

  test.each([1_776_000_000, 1_776_000_000_000, true, [], {}])(
    "%j is none, it has no offset",
    (input) => {
      expect(readInstant(input)).toEqual(aFault);
    },
  );

  test.each([
    "0001-01-01",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+08:00",
    "0001-01-01 00:00:00",
  ])("the zero date %j is unset where a time may be", (text) => {
    expect(readInstantOrUnset(text)).toEqual({ value: undefined });
  });
});

describe("an id", () => {
  test.each([
    ["a UUID", "3974bad1-247b-4939-8965-3223182fba1f"],
    ["one character", "e"],
    ["white space", " "],
    ["255 characters", "x".repeat(255)],
    ["255 characters beyond U+FFFF", ASTRAL.repeat(255)],
    ["a key of JavaScript's objects", "__proto__"],
    ["letters of any script", "卡-é"],
  ])("%s is taken as it is", (_what, id) => {
    expect(readId(id)).toEqual({ value: id });
  });

  test.each([
    ["no characters", "", "must have 1 to 255 characters"],
    ["256 characters", "x".repeat(256), "must have 1 to 255 characters"],
    [
      "256 characters beyond U+FFFF",
      ASTRAL.repeat(256),
      "must have 1 to 255 characters",
    ],
    [
      "300 characters in 511 units",
      ASTRAL.repeat(211) + "x".repeat(89),
      "must have 1 to 255 characters",
    ],
    [
      "250,000 characters",
      "x".repeat(250_000),
      "must have 1 to 255 characters",
    ],
    ["NUL", "a\u0000b", "must not contain NUL or half a surrogate pair"],
    [
      "half a surrogate pair",
      `a${LONE_SURROGATE}b`,
      "must not contain NUL or half a surrogate pair",
    ],
  ])("%s is refused", (_what, id, fault) => {
    expect(readId(id)).toEqual({ fault });
  });

  test.each([[1], [true], [null], [undefined], [["e"]], [{}]])(
    "%j is refused",
    (input) => {
      expect(readId(input)).toEqual({ fault: "must be text" });
    },
  );
});

describe("free text", () => {
  test.each([
    ["as it is", " card test", " card test"],
    ["a number as text", 856_268, "856268"],
    ["a truth as text", true, "true"],
    ["any length", "x".repeat(250_000), "x".repeat(250_000)],
  ])("is kept: %s", (_what, input, value) => {
    expect(readText(input)).toEqual({ value });
  });

  test.each([[{}], [[]], [null], [undefined]])("%j is none", (input) => {
    expect(readText(input)).toEqual({ fault: "must be text" });
  });

  test.each(["a\u0000b", "\u0000", `a${LONE_SURROGATE}`])(
    "that PostgreSQL cannot hold (%j) is none: nothing is put in its place",
    (input) => {
      const fault = "must not contain NUL or half a surrogate pair";

      expect(readText(input)).toEqual({ fault });
      expect(readWord(input)).toEqual({ fault });
      expect(readStatus(input)).toEqual({ fault });
    },
  );

  test.each([
    ["x".repeat(255), { value: "x".repeat(255) }],
    [ASTRAL.repeat(255), { value: ASTRAL.repeat(255) }],
    ["x".repeat(256), { fault: "must have at most 255 characters" }],
    [ASTRAL.repeat(256), { fault: "must have at most 255 characters" }],
    [{}, { fault: "must be text" }],
  ])("a short word has at most 255 characters, %#", (input, reading) => {
    expect(readWord(input)).toEqual(reading);
  });
});

describe("a status", () => {
  test.each([
    ["FROZEN", "FROZEN"],
    ["frozen", "FROZEN"],
    ["Activated", "ACTIVATED"],
    [" PRE_CANCEL ", "PRE_CANCEL"],
    ["SOMETHING_NEW", "SOMETHING_NEW"],
  ])("%j is %s", (input, value) => {
    expect(readStatus(input)).toEqual({ value });
  });

  test.each([
    ["a number", 1, "must be text"],
    ["a truth", true, "must be text"],
    ["an object", {}, "must be text"],
    ["too long", "X".repeat(256), "must have at most 255 characters"],
  ])("%s is none", (_what, input, fault) => {
    expect(readStatus(input)).toEqual({ fault });
  });

  test("white space alone is no status", () => {
    expect(readStatus("  ")).not.toEqual({ value: "" });
  });
});

describe("an object that is kept as it came", () => {
  test("keeps any JSON", () => {
    const object = { a: [1, "two", null, true, { b: [] }], "": "" };

    expect(readJsonObject(object)).toEqual({ value: object });
  });

  test.each([[[]], ["text"], [1], [null], [undefined], [true]])(
    "%j is none",
    (input) => {
      expect(isObject(input)).toBe(false);
      expect(readJsonObject(input)).toEqual({ fault: "must be an object" });
    },
  );

  test.each([
    ["a text with NUL", '{"a":["b\\u0000"]}'],
    ["a name with NUL", '{"a":{"b\\u0000":1}}'],
    ["half a surrogate pair", '{"a":["\\ud800"]}'],
    ["one of them beside a number", '{"n":1.10,"a":["b\\u0000"]}'],
    ["one of them behind a list", '{"a":[[1.10],"b\\u0000"]}'],
  ])("that has %s is none", (_what, text) => {
    expect(readJsonObject(parseJsonText(text))).toEqual({
      fault: "must not contain NUL or half a surrogate pair",
    });
  });

  test("keeps a key named __proto__ as a key", () => {
    const object: unknown = JSON.parse(
      '{"__proto__":{"polluted":true},"constructor":{"prototype":1}}',
    );

    const reading = readJsonObject(object);

    const value = "value" in reading ? reading.value : {};
    expect(JSON.stringify(value)).toBe(JSON.stringify(object));
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect({}).not.toHaveProperty("polluted");
  });

  test("has a number that JavaScript would change as it was written, in a copy", () => {
    const delivered = parseJsonText('{"a":[1.10]}');

    expect(readJsonObject(delivered)).toEqual({ value: { a: ["1.10"] } });
    expect(delivered).toEqual(parseJsonText('{"a":[1.10]}'));
  });

  test("is nested at most 16 deep", () => {
    expect(readJsonObject(nested(16))).toEqual({ value: nested(16) });
    expect(readJsonObject(nested(17))).toEqual({
      fault: "must be nested at most 16 deep",
    });
  });

  test("100,000 levels are refused without being walked", () => {
    const deep: unknown = JSON.parse(
      `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`,
    );

    expect(readJsonObject(deep)).toEqual(aFault);
  });

  function nested(depth: number): object {
    return depth === 1 ? {} : { deeper: nested(depth - 1) };
  }
});

test("a mistake of ours is no field that cannot be read", () => {
  const mistaken = fields.optional(() => {
    throw new TypeError("a mistake");
  });

  expect(() => fields.readFields({ mistaken }, { mistaken: 1 }, "")).toThrow(
    TypeError,
  );
});
