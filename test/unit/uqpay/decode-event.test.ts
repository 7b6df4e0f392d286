import { describe, expect, test } from "@jest/globals";
import type { Instant } from "../../../src/domain/instant.ts";
import type { Decoded } from "../../../src/uqpay/decode-event.ts";
import {
  decodeEvent,
  decodeKeptEvent,
  fieldOf,
  unreadableFields,
} from "../../../src/uqpay/decode-event.ts";
import {
  findEventType,
  handledEventTypes,
} from "../../../src/uqpay/event-types/index.ts";
import { authorizations } from "../../../src/projections/authorizations.ts";
import { cards } from "../../../src/projections/cards.ts";
import { toRow } from "../../../src/projections/rows.ts";
import { authorizationAfter, cardAfter } from "../../support/events.ts";

const times = {
  signedAt: "2026-05-01T08:00:00.123000Z" as Instant,
  receivedAt: "2026-05-01T08:00:01.456789Z" as Instant,
};

const STATUS = "card.status.update.succeeded";
const UPDATE = "card.update.succeeded";
const CREATE = "card.create.succeeded";
const ACTIVATION = "card.activation.status";
const AUTHORIZATION = "issuing.transaction.authorization";

const whole: Readonly<Record<string, Record<string, unknown>>> = {
  [STATUS]: {
    card_id: "card-1",
    card_status: "FROZEN",
    update_time: "2026-04-12T10:00:00+08:00",
  },
  [UPDATE]: { card_id: "card-1" },
  [CREATE]: { card_id: "card-1" },
  [ACTIVATION]: { card_id: "card-1" },
  [AUTHORIZATION]: { card_id: "card-1", transaction_status: "APPROVED" },
};

function decodeText(text: string): Decoded {
  return decodeEvent(Buffer.from(text), times);
}

/** An event that is whole but for what is given. */
function decode(
  eventType: string,
  data: Record<string, unknown> = {},
  outer: Record<string, unknown> = {},
): Decoded {
  return decodeText(
    JSON.stringify({
      event_id: "event-1",
      event_type: eventType,
      data: { ...whole[eventType], ...data },
      ...outer,
    }),
  );
}

/** As `decode`, where one value of the data is written as it stands: JSON.stringify would change the number. */
function decodeRaw(eventType: string, field: string, json: string): Decoded {
  const data = JSON.stringify({ ...whole[eventType], [field]: "@" });
  return decodeText(
    `{"event_id":"event-1","event_type":"${eventType}","data":${data.replace('"@"', json)}}`,
  );
}

function eventIn(decoded: Decoded) {
  if (decoded.kind !== "known")
    throw new Error(`not known: ${JSON.stringify(decoded)}`);
  return decoded.event;
}

function issuesIn(decoded: Decoded) {
  if (decoded.kind !== "malformed") throw new Error(`it is ${decoded.kind}`);
  return decoded.issues;
}

function unreadableIn(decoded: Decoded) {
  if (!("unreadable" in decoded)) throw new Error(`it is ${decoded.kind}`);
  return decoded.unreadable;
}

function camelCaseOf(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

function pathsIn(decoded: Decoded): string[] {
  return issuesIn(decoded).map(({ path }) => path);
}

describe("bytes that are no JSON", () => {
  test.each([
    ["an empty body", ""],
    ["white space", " \n "],
    ["half an object", '{"event_id":"e'],
    ["two objects", "{}{}"],
    ["a comment", '{"a":1} // why'],
    ["single quotes", "{'a':1}"],
    ["a comma too many", '{"a":1,}'],
    ["NaN", '{"a":NaN}'],
    ["a leading zero", '{"a":0123}'],
    ["a control character in text", '{"a":"\u0001"}'],
    ["a form instead", "event_id=e1"],
    ["two byte order marks", '\ufeff\ufeff{"a":1}'],
    ["a byte order mark behind the object", '{"a":1}\ufeff'],
    ["a byte order mark alone", "\ufeff"],
  ])("%s", (_what, text) => {
    expect(decodeText(text)).toEqual({ kind: "not-json", isSensitive: false });
  });

  test.each([
    ["a lone continuation byte", [0x80]],
    ["a cut character", [0xe5, 0x8d]],
    ["an overlong form", [0xc0, 0xaf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["Latin-1", [0xe9]],
  ])("text that is not UTF-8: %s", (_what, bytes) => {
    const body = Buffer.concat([
      Buffer.from('{"event_id":"'),
      Buffer.from(bytes),
      Buffer.from('"}'),
    ]);

    expect(decodeEvent(body, times).kind).toBe("not-json");
  });

  test("UTF-16 is none", () => {
    const body = Buffer.from('{"a":1}', "utf16le");

    expect(decodeEvent(body, times).kind).toBe("not-json");
  });

  test.each(["otp", "activation_code", "secret_key", "cvv", "pin", "OTP"])(
    "a broken body with a field %s is sensitive",
    (field) => {
      expect(decodeText(`{"data":{"${field}" : "1234"`)).toEqual({
        kind: "not-json",
        isSensitive: true,
      });
    },
  );

  test("a broken body is searched for codes also where it is not UTF-8", () => {
    const body = Buffer.concat([Buffer.from([0xff]), Buffer.from('"otp":"1"')]);

    expect(decodeEvent(body, times)).toEqual({
      kind: "not-json",
      isSensitive: true,
    });
  });
});

describe("the envelope", () => {
  test.each(["[]", "null", "1", '"text"', "true", "1.10"])(
    "%s is no object",
    (text) => {
      expect(decodeText(text)).toEqual({
        kind: "malformed",
        text,
        isRedacted: false,
        isSensitive: false,
        eventId: undefined,
        eventType: undefined,
        cardId: undefined,
        issues: [{ path: "", message: "must be an object" }],
      });
    },
  );

  test("everything that is missing is named at once", () => {
    expect(issuesIn(decodeText("{}"))).toEqual([
      { path: "event_id", message: "is required" },
      { path: "event_type", message: "is required" },
      { path: "data", message: "is required" },
    ]);
  });

  test.each([
    ["event_id", "", "is required"],
    ["event_id", null, "is required"],
    ["event_id", 17, "must be text"],
    ["event_id", {}, "must be text"],
    ["event_id", "x".repeat(256), "must have 1 to 255 characters"],
    ["event_id", "a\u0000", "must not contain NUL or half a surrogate pair"],
    ["event_id", "\ud83d", "must not contain NUL or half a surrogate pair"],
    ["event_type", "", "is required"],
    ["event_type", 17, "must be text"],
    ["event_type", "x".repeat(256), "must have 1 to 255 characters"],
    ["data", null, "is required"],
    ["data", "", "is required"],
    ["data", [], "must be an object"],
    ["data", "text", "must be an object"],
    ["data", 1, "must be an object"],
  ])("%s %j is refused: %s", (field, value, message) => {
    const decoded = decode(UPDATE, {}, { [field]: value });

    expect(issuesIn(decoded)).toEqual([{ path: field, message }]);
  });

  test.each(["1", "1.10", "1e2", "-0", "12345678901234567890"])(
    "the number %s is no event_id, in whatever form it is written",
    (number) => {
      const decoded = decodeText(
        `{"event_id":${number},"event_type":"some.type","data":{}}`,
      );

      expect(decoded).toMatchObject({
        kind: "malformed",
        issues: [{ path: "event_id", message: "must be text" }],
      });
    },
  );

  test("what can be read of a refused envelope is told", () => {
    const decoded = decodeText('{"event_id":"e1","event_type":"some.type"}');

    expect(decoded).toMatchObject({ eventId: "e1", eventType: "some.type" });
  });

  test("of an unusable id nothing is told", () => {
    const decoded = decodeText('{"event_id":"a\\u0000","event_type":7}');

    expect(decoded).toMatchObject({
      eventId: undefined,
      eventType: undefined,
    });
  });

  test.each<[string, unknown, string | undefined]>([
    ["source_id", undefined, undefined],
    ["source_id", null, undefined],
    ["source_id", "", undefined],
    ["source_id", "order-1", "order-1"],
    ["event_name", "", undefined],
    ["event_name", "ISSUING", "ISSUING"],
    ["version", "V1.5.1", "V1.5.1"],
    ["version", "V9", "V9"],
    ["version", 1.6, "1.6"],
  ])("%s %j is read as %j", (field, value, read) => {
    const decoded = decode("some.type", {}, { [field]: value });

    expect(decoded).toMatchObject({
      kind: "unhandled",
      envelope: { [camelCaseOf(field)]: read },
      unreadable: [],
    });
  });

  test.each([
    ["source_id", {}, "must be text"],
    ["source_id", 17, "must be text"],
    ["source_id", "x".repeat(256), "must have 1 to 255 characters"],
    ["source_id", "a\u0000", "must not contain NUL or half a surrogate pair"],
    ["event_name", {}, "must be text"],
    ["event_name", ["ISSUING"], "must be text"],
    ["version", [], "must be text"],
    ["version", "\ud83d", "must not contain NUL or half a surrogate pair"],
  ])("%s %j counts as not stated: %s", (field, value, message) => {
    for (const type of ["some.type", UPDATE]) {
      const decoded = decode(type, {}, { [field]: value });

      expect(decoded).toMatchObject({
        kind: type === UPDATE ? "known" : "unhandled",
        envelope: { [camelCaseOf(field)]: undefined },
        unreadable: [{ path: field, message }],
      });
    }
  });

  test("the two names of V1.5.2's overview are put in order", () => {
    const decoded = decode(
      "ISSUING",
      { card_id: "card-1" },
      { event_name: UPDATE },
    );

    expect(decoded).toMatchObject({
      kind: "known",
      envelope: { eventType: UPDATE, eventName: "ISSUING" },
      event: { kind: "card-observed" },
    });
  });

  test.each([
    ["two types", "cardholder.updated", "cardholder.kyc.status_changed"],
    ["two categories", "ISSUING", "ACQUIRING"],
    ["the right order", "some.type", "ISSUING"],
  ])("%s stay where they are", (_what, eventType, eventName) => {
    const decoded = decode(eventType, {}, { event_name: eventName });

    expect(decoded).toMatchObject({ envelope: { eventType, eventName } });
  });

  test("an event type that came as event_name is bounded like any other", () => {
    const decoded = decode(
      "ISSUING",
      {},
      { event_name: `some.${"x".repeat(300)}` },
    );

    const type = "envelope" in decoded ? decoded.envelope.eventType : "";
    expect(type.length).toBeLessThanOrEqual(255);
  });

  test("one leading byte order mark is ignored, and stays in the text that was signed", () => {
    const text = `\ufeff{"event_id":"e","event_type":"${UPDATE}","data":{"card_id":"c","card_limit":1.10}}`;

    const decoded = decodeText(text);

    expect(decoded).toMatchObject({ kind: "known", text, isRedacted: false });
    expect(decodeKeptEvent(text, times)).toEqual(decoded);
  });

  test("unknown fields are no error", () => {
    const decoded = decode(UPDATE, { new: { field: 1 } }, { account: "a" });

    expect(decoded.kind).toBe("known");
  });

  test("of a name that comes twice the last counts, as in jsonb", () => {
    const decoded = decodeText(
      '{"event_id":"first","event_id":"last","event_type":"some.type","data":{}}',
    );

    expect(decoded).toMatchObject({ envelope: { eventId: "last" } });
  });

  test.each(["__proto__", "constructor", "toString", "hasOwnProperty"])(
    "%s is an event type like any other that has no handler",
    (eventType) => {
      expect(findEventType(eventType)).toBeUndefined();
      expect(decode(eventType)).toMatchObject({
        kind: "unhandled",
        envelope: { eventType },
      });
    },
  );

  test.each(["__proto__", "constructor", "prototype"])(
    "a key named %s changes nothing anywhere",
    (key) => {
      const inner = `{"${key}":{"card_id":"polluted","event_id":"polluted"}}`;
      const outer = decodeText(
        `{"${key}":{"event_id":"e","event_type":"t","data":{}}}`,
      );
      const data = decodeText(
        `{"event_id":"e","event_type":"some.type","data":${inner}}`,
      );
      const known = decodeRaw(UPDATE, "cardholder", inner);

      expect(pathsIn(outer)).toEqual(["event_id", "event_type", "data"]);
      expect(data).toMatchObject({ kind: "unhandled", cardId: undefined });
      expect(known).toMatchObject({ kind: "known", cardId: "card-1" });
      expect({}).not.toHaveProperty("card_id");
    },
  );
});

describe("a type without a handler", () => {
  test.each([
    ["text", "card-9", "card-9"],
    ["missing", undefined, undefined],
    ["null", null, undefined],
    ["empty", "", undefined],
  ])("its card_id is found where it is text: %s", (_what, given, cardId) => {
    const decoded = decode("some.type", { card_id: given });

    expect(decoded).toMatchObject({
      kind: "unhandled",
      cardId,
      unreadable: [],
    });
  });

  test.each([
    ["a number", 9],
    ["too long", "x".repeat(256)],
    ["unstorable", "a\u0000"],
  ])("its card_id counts as not stated where it is %s", (_what, given) => {
    const decoded = decode("some.type", { card_id: given });

    expect(decoded).toMatchObject({
      kind: "unhandled",
      cardId: undefined,
      unreadable: [{ path: "data.card_id" }],
    });
  });

  test.each([
    "card.create.failed",
    "card.update.failed",
    "card.status.update.failed",
    "issuing.transaction.reversal",
    "issuing.transaction.refund",
    "issuing.fee.card",
    "CARD.UPDATE.SUCCEEDED",
  ])("%s has none", (eventType) => {
    expect(decode(eventType).kind).toBe("unhandled");
  });

  test("these have one", () => {
    expect(handledEventTypes.toSorted()).toEqual(
      [STATUS, UPDATE, CREATE, ACTIVATION, AUTHORIZATION].toSorted(),
    );
  });
});

describe("what must not be kept", () => {
  test.each([
    "card.3ds.otp",
    "card.verification.otp",
    "card.activation.code",
    "issuing.report.created",
    "issuing.report.succeeded",
  ])("the whole of %s, whatever is in it", (eventType) => {
    expect(decode(eventType)).toMatchObject({
      kind: "unhandled",
      isSensitive: true,
    });
  });

  test("a sensitive type with swapped names", () => {
    const decoded = decode("ISSUING", {}, { event_name: "card.3ds.otp" });

    expect(decoded.isSensitive).toBe(true);
  });

  test("a sensitive type whose envelope is broken", () => {
    const decoded = decode("card.3ds.otp", {}, { event_id: null });

    expect(decoded).toMatchObject({ kind: "malformed", isSensitive: true });
  });

  test("a sensitive type with swapped names whose envelope is broken", () => {
    const decoded = decode(
      "ISSUING",
      { code: "1234" },
      { event_name: "card.3ds.otp", event_id: null },
    );

    expect(decoded).toMatchObject({ kind: "malformed", isSensitive: true });
  });

  test.each(["otp", "activation_code", "secret_key", "cvv", "pin", "Otp"])(
    "an unknown type with a field %s",
    (field) => {
      const decoded = decode("some.new.type", { deep: [{ [field]: "1" }] });

      expect(decoded).toMatchObject({ kind: "unhandled", isSensitive: true });
    },
  );

  test.each([
    ["a longer name", { otp_sent: true, spin: 1 }],
    ["a value", { kind: "otp" }],
  ])("an unknown type with the word in %s is kept", (_where, data) => {
    expect(decode("some.new.type", data).isSensitive).toBe(false);
  });

  test.each([STATUS, UPDATE, CREATE, ACTIVATION, AUTHORIZATION])(
    "%s is always kept, it is needed to apply it",
    (eventType) => {
      const decoded = decode(eventType, { metadata: { pin: "1", otp: "2" } });

      expect(decoded).toMatchObject({ kind: "known", isSensitive: false });
    },
  );

  test.each([STATUS, AUTHORIZATION])(
    "%s with a mistake is kept too, to be replayed after a fix",
    (eventType) => {
      const decoded = decode(eventType, { card_id: null, pin: "1" });

      expect(decoded).toMatchObject({ kind: "malformed", isSensitive: false });
    },
  );
});

describe("what a handled type requires", () => {
  test.each([
    [STATUS, ["card_id", "card_status", "update_time"]],
    [UPDATE, ["card_id"]],
    [CREATE, ["card_id"]],
    [ACTIVATION, ["card_id"]],
    [AUTHORIZATION, ["card_id", "transaction_status"]],
  ])("%s requires %j", (eventType, fields) => {
    for (const absent of [undefined, null, ""]) {
      const nothing = Object.fromEntries(
        fields.map((field) => [field, absent]),
      );

      const decoded = decode(eventType, nothing);

      expect(decoded).toMatchObject({
        kind: "malformed",
        eventId: "event-1",
        eventType,
        issues: fields.map((field) => ({
          path: `data.${field}`,
          message: "is required",
        })),
      });
    }
  });

  test.each([
    [STATUS, "update_time", "2026-04-12T10:00:00", "ISO 8601"],
    [STATUS, "update_time", "2026-02-30T10:00:00Z", "ISO 8601"],
    [STATUS, "update_time", "0001-01-01T00:00:00Z", "ISO 8601"],
    [STATUS, "update_time", 1_776_000_000, "ISO 8601"],
    [STATUS, "card_status", 1, "must be text"],
    [STATUS, "card_status", "A\u0000", "NUL"],
    [STATUS, "card_id", 1, "must be text"],
    [UPDATE, "card_id", 1, "must be text"],
    [CREATE, "card_id", ["card-1"], "must be text"],
    [ACTIVATION, "card_id", "\ud83d", "NUL"],
    [AUTHORIZATION, "card_id", "x".repeat(256), "255 characters"],
    [AUTHORIZATION, "transaction_status", {}, "must be text"],
  ])(
    "in %s the required field %s may not be %j",
    (eventType, field, value, message) => {
      const decoded = decode(eventType, {
        [field]: value,
        card_number: {},
        merchant_data: 7,
      });

      expect(issuesIn(decoded)).toEqual([
        { path: `data.${field}`, message: expect.stringContaining(message) },
      ]);
    },
  );
});

describe("an optional field that cannot be read", () => {
  const TOO_DEEP = deep(20);

  /** For each kind of field what no reader takes. */
  const wrong = {
    amount: [
      "1,000.00",
      "NaN",
      "Infinity",
      "0x10",
      true,
      {},
      [],
      "9".repeat(201),
    ],
    gluedAmount: ["lots", "1,000USD", {}, true],
    id: [17, true, {}, ["id"], "x".repeat(256), "a\u0000", "\ud83d"],
    word: [{}, ["word"], "x".repeat(256), "a\u0000", "\ud83d"],
    text: [{}, ["text"], "a\u0000", "\ud83d"],
    status: [1, true, {}, " ", "x".repeat(256), "A\u0000"],
    time: [
      "2026-04-12 10:00:00",
      "yesterday",
      "2026-02-30T10:00:00Z",
      1_776_000_000,
      {},
      "+275760-09-13T00:00:00Z",
    ],
    object: [
      "text",
      1,
      true,
      [1],
      { "a\u0000": 1 },
      { a: "\ud83d" },
      { a: TOO_DEEP },
    ],
    controls: [
      "all",
      {},
      1,
      [7],
      [null],
      [{ amount: "1,0" }],
      [{ amount: "1" }, { interval: [] }],
      [{ a: TOO_DEEP }],
      [{ a: "\u0000" }],
      Array.from({ length: 101 }, () => ({})),
    ],
    rules: [
      "Y",
      1,
      [1],
      { allowed_mcc: "5999" },
      { blocked_mcc: {} },
      { blocked_mcc: ["5999", "59999"] },
      { allowed_mcc: ["5999"], blocked_mcc: [true] },
      { note: "\u0000", blocked_mcc: ["5999"] },
      { a: TOO_DEEP },
    ],
    cardholder: ["Alex", 1, [1], { cardholder_id: 7 }],
    merchants: [
      "a shop",
      7,
      true,
      [7],
      [null],
      { category_code: "x" },
      [{ category_code: "59999", name: "A" }],
      [{ name: "A" }, { city: {} }],
      [{ name: "a\u0000" }],
      Array.from({ length: 101 }, () => ({})),
    ],
  };

  const cardFields: readonly (readonly [string, keyof typeof wrong])[] = [
    ["card_number", "word"],
    ["card_bin", "word"],
    ["card_scheme", "word"],
    ["card_product_id", "id"],
    ["cardholder_id", "id"],
    ["cardholder", "cardholder"],
    ["card_currency", "word"],
    ["currency", "word"],
    ["mode_type", "word"],
    ["form_factor", "word"],
    ["card_limit", "amount"],
    ["available_balance", "amount"],
    ["card_available_balance", "amount"],
    ["no_pin_payment_amount", "gluedAmount"],
    ["spending_controls", "controls"],
    ["spending_limits", "controls"],
    ["risk_control", "rules"],
    ["risk_controls", "rules"],
    ["metadata", "object"],
  ];

  const fieldsByType: Readonly<
    Record<string, readonly (readonly [string, keyof typeof wrong])[]>
  > = {
    [STATUS]: [...cardFields, ["update_reason", "text"]],
    [UPDATE]: [...cardFields, ["card_status", "status"]],
    [CREATE]: [...cardFields, ["card_status", "status"]],
    [ACTIVATION]: [...cardFields, ["activation_status", "status"]],
    [AUTHORIZATION]: [
      ["transaction_id", "id"],
      ["card_number", "word"],
      ["cardholder_id", "id"],
      ["card_available_balance", "amount"],
      ["transaction_type", "word"],
      ["description", "text"],
      ["transaction_amount", "amount"],
      ["transaction_currency", "word"],
      ["billing_amount", "amount"],
      ["billing_currency", "word"],
      ["transaction_fee", "amount"],
      ["transaction_fee_currency", "word"],
      ["authorization_code", "word"],
      ["original_transaction_id", "id"],
      ["wallet_type", "word"],
      ["merchant_data", "merchants"],
      ["transaction_time", "time"],
      ["posted_time", "time"],
    ],
  };

  test.each(Object.keys(fieldsByType))(
    "is named by each field of %s but the required ones",
    (eventType) => {
      const paths = fieldsByType[eventType]?.map(([name]) => `data.${name}`);

      expect(findEventType(eventType)?.optionalFields.toSorted()).toEqual(
        paths?.toSorted(),
      );
      for (const path of paths ?? []) expect(unreadableFields).toContain(path);
    },
  );

  test("has one of a fixed set of names, each once", () => {
    expect(new Set(unreadableFields).size).toBe(unreadableFields.length);
    expect(unreadableFields).toEqual(
      expect.arrayContaining([
        "event_name",
        "version",
        "source_id",
        "data.card_id",
      ]),
    );
  });

  test.each(
    Object.entries(fieldsByType).flatMap(([eventType, fields]) =>
      fields.map(([name, kind]) => [eventType, name, kind] as const),
    ),
  )("in %s counts as not stated: %s", (eventType, name, kind) => {
    const without = eventIn(decode(eventType));
    for (const value of wrong[kind]) {
      const decoded = decode(eventType, { [name]: value });

      expect(eventIn(decoded)).toEqual(without);
      const issues = unreadableIn(decoded);
      expect(issues.length).toBeGreaterThan(0);
      for (const issue of issues) {
        expect(`${issue.path}.`).toContain(`data.${name}.`);
        expect(fieldOf(issue)).toBe(`data.${name}`);
        expect(issue.message).not.toBe("");
      }
    }
  });

  test("leaves all others as they are, and each is listed", () => {
    const decoded = decode(UPDATE, {
      card_limit: "1,000",
      available_balance: "5",
      currency: {},
      risk_control: { blocked_mcc: ["5999", "five"] },
      metadata: { a: "1" },
    });

    expect(eventIn(decoded).facts).toEqual({
      available_balance: "5",
      metadata: { a: "1" },
    });
    expect(unreadableIn(decoded)).toEqual([
      { path: "data.currency", message: "must be text" },
      {
        path: "data.card_limit",
        message: "must be a decimal, as text or number",
      },
      {
        path: "data.risk_control.blocked_mcc.1",
        message: "must be a merchant category code of one to four digits",
      },
    ]);
  });

  test.each([
    [
      "available_balance",
      "1,000.00",
      "card_available_balance",
      "1000.00",
      { available_balance: "1000.00" },
    ],
    [
      "card_available_balance",
      {},
      "available_balance",
      "5",
      { available_balance: "5" },
    ],
    ["card_currency", {}, "currency", "SGD", { card_currency: "SGD" }],
    [
      "cardholder",
      { cardholder_id: 7 },
      "cardholder_id",
      "h",
      { cardholder_id: "h" },
    ],
    [
      "spending_controls",
      [7],
      "spending_limits",
      [],
      { spending_controls: [] },
    ],
    [
      "risk_control",
      { blocked_mcc: ["five"] },
      "risk_controls",
      { blocked_mcc: ["5999"] },
      { blocked_mcc: ["5999"] },
    ],
    ["risk_controls", "Y", "risk_control", {}, { blocked_mcc: [] }],
  ])(
    "%s %j gives way to its other name %s %j",
    (name, value, other, readable, facts) => {
      const decoded = decode(UPDATE, { [name]: value, [other]: readable });

      expect(eventIn(decoded)).toMatchObject({ facts });
      expect(unreadableIn(decoded).map(fieldOf)).toEqual([`data.${name}`]);
    },
  );

  test("of a transaction's id leaves it to the envelope's", () => {
    const decoded = decode(
      AUTHORIZATION,
      { transaction_id: 17 },
      { source_id: "source" },
    );

    expect(eventIn(decoded)).toMatchObject({ transactionId: "source" });
  });

  test.each([
    [
      UPDATE,
      { risk_control: { blocked_mcc: ["5999", "59a9"] } },
      "data.risk_control.blocked_mcc.1",
    ],
    [
      UPDATE,
      { risk_control: { allowed_mcc: "5999" } },
      "data.risk_control.allowed_mcc",
    ],
    [
      UPDATE,
      { risk_controls: { blocked_mcc: [true] } },
      "data.risk_controls.blocked_mcc.0",
    ],
    [
      UPDATE,
      { spending_controls: [{ amount: "1" }, { amount: "1,0" }] },
      "data.spending_controls.1.amount",
    ],
    [UPDATE, { spending_limits: [7] }, "data.spending_limits.0"],
    [
      UPDATE,
      { cardholder: { cardholder_id: 7 } },
      "data.cardholder.cardholder_id",
    ],
    [
      AUTHORIZATION,
      { merchant_data: [{ category_code: "5999" }, { category_code: "x" }] },
      "data.merchant_data.1.category_code",
    ],
    [
      AUTHORIZATION,
      { merchant_data: { category_code: "x" } },
      "data.merchant_data.category_code",
    ],
    [AUTHORIZATION, { merchant_data: [7] }, "data.merchant_data.0"],
    [AUTHORIZATION, { merchant_data: [null] }, "data.merchant_data.0"],
  ])("in %s %j is at %s", (eventType, data, path) => {
    expect(unreadableIn(decode(eventType, data))).toEqual([
      { path, message: expect.any(String) },
    ]);
  });

  test("no message repeats a value, which may be personal", () => {
    const canary = "4111-canary";
    const refused = decode(STATUS, { card_id: [canary], update_time: canary });
    const applied = [
      decode(UPDATE, {
        card_limit: canary,
        metadata: canary,
        risk_control: { blocked_mcc: [canary], [canary]: "\u0000" },
        spending_controls: canary,
        cardholder: canary,
      }),
      decode(
        AUTHORIZATION,
        { merchant_data: canary, transaction_fee: canary },
        { source_id: [canary] },
      ),
    ];

    const issues = [issuesIn(refused), ...applied.map(unreadableIn)];
    expect(issues.flat().length).toBeGreaterThan(8);
    expect(JSON.stringify(issues)).not.toContain("canary");
  });
});

describe("a number", () => {
  test.each([
    ["1.10", "1.10"],
    ["1e2", "100"],
    ["1E+2", "100"],
    ["100", "100"],
    ["0.1", "0.1"],
    ["12345678901234567890", "12345678901234567890"],
    ["12345678901234567890.123456789", "12345678901234567890.123456789"],
    ["-1.50", "-1.50"],
    [
      "0.1000000000000000055511151231257827",
      "0.1000000000000000055511151231257827",
    ],
  ])("%s stays exactly what was sent", (json, amount) => {
    const asNumber = eventIn(
      decodeRaw(AUTHORIZATION, "transaction_amount", json),
    );
    const asText = eventIn(
      decodeRaw(AUTHORIZATION, "transaction_amount", `"${json}"`),
    );

    expect(asNumber).toMatchObject({
      transaction: { transaction_amount: amount },
    });
    expect(asText).toEqual(asNumber);
  });

  test.each(["1e400000", "-1e400000", "1e-400000"])(
    "%s cannot be read, as number and as text",
    (json) => {
      const asNumber = decodeRaw(UPDATE, "card_limit", json);
      const asText = decodeRaw(UPDATE, "card_limit", `"${json}"`);

      const issues = [
        { path: "data.card_limit", message: "must have at most 200 digits" },
      ];
      expect(unreadableIn(asNumber)).toEqual(issues);
      expect(unreadableIn(asText)).toEqual(issues);
    },
  );

  test.each([1, 5, 10, 16])(
    "stays exactly what was sent %d objects deep, beside no other",
    (levels) => {
      const nested = (number: string) =>
        '{"deeper":'.repeat(levels) + number + "}".repeat(levels);

      const decoded = decodeRaw(STATUS, "metadata", nested("1.10"));

      expect(eventIn(decoded)).toMatchObject({
        facts: { metadata: JSON.parse(nested('"1.10"')) as unknown },
      });
    },
  );

  test("is left alone inside of text", () => {
    const decoded = decode(STATUS, {
      update_reason: 'paid 1.10 and "1e2", \\"2.50',
      card_limit: "1.10",
    });

    expect(eventIn(decoded)).toMatchObject({
      reason: 'paid 1.10 and "1e2", \\"2.50',
    });
  });

  test("is left alone inside of text when another one is rewritten", () => {
    const decoded = decodeText(
      `{"event_id":"1.10","event_type":"${STATUS}","data":{"card_id":"1e2","card_status":"FROZEN",` +
        `"update_time":"2026-04-12T10:00:00Z","available_balance":1.10,"update_reason":"a \\"1.10\\" \\\\"}}`,
    );

    expect(eventIn(decoded)).toMatchObject({
      eventId: "1.10",
      cardId: "1e2",
      reason: 'a "1.10" \\',
      facts: { available_balance: "1.10" },
    });
  });

  test("is text where any JSON may stand and JavaScript would change it", () => {
    const decoded = decodeRaw(UPDATE, "metadata", '{"a":1.10,"b":2,"c":[-0]}');

    expect(eventIn(decoded)).toMatchObject({
      facts: { metadata: { a: "1.10", b: 2, c: ["-0"] } },
    });
  });

  test.each(["{}", "[]"])(
    "is read beside %s that is nested deeper than a call stack",
    (innermost) => {
      const deep = "[".repeat(100_000) + innermost + "]".repeat(100_000);

      const decoded = decodeRaw(STATUS, "card_limit", `2100.02,"more":${deep}`);

      expect(eventIn(decoded)).toMatchObject({
        facts: { card_limit: "2100.02" },
      });
    },
  );

  test("is text where text may stand", () => {
    const decoded = decodeText(
      '{"event_id":"e","event_type":"some.type","version":1.60,"data":{}}',
    );

    expect(decoded).toMatchObject({ envelope: { version: "1.60" } });
  });

  test("no rewriting shows in the text that is kept", () => {
    const text = '{"event_id":"e","event_type":"t","data":{"a":1.10}}';

    expect(decodeText(text)).toMatchObject({ kind: "unhandled", text });
  });
});

describe("a card's status", () => {
  test.each([STATUS, UPDATE, CREATE])("%s: any word is taken", (eventType) => {
    const decoded = decode(eventType, { card_status: "Some_New_Status" });

    expect(eventIn(decoded)).toMatchObject({ status: "SOME_NEW_STATUS" });
  });

  test.each([
    ["Activated", "ACTIVE"],
    ["ACTIVATED", "ACTIVE"],
    ["Failed", undefined],
    ["", undefined],
    [undefined, undefined],
  ])("an activation that says %j means %s", (activation, status) => {
    const decoded = decode(ACTIVATION, { activation_status: activation });

    expect(eventIn(decoded)).toMatchObject({ kind: "card-observed", status });
  });
});

describe("a card's facts", () => {
  test.each([
    ["cardholder_id", { cardholder_id: "h" }, { cardholder_id: "h" }],
    [
      "the cardholder's own id before it",
      { cardholder_id: "h", cardholder: { cardholder_id: "own" } },
      { cardholder_id: "own" },
    ],
    ["currency", { currency: "USD" }, { card_currency: "USD" }],
    [
      "card_currency before it",
      { currency: "USD", card_currency: "SGD" },
      { card_currency: "SGD" },
    ],
    [
      "card_available_balance",
      { card_available_balance: "1" },
      { available_balance: "1" },
    ],
    [
      "available_balance before it",
      { card_available_balance: "1", available_balance: "2" },
      { available_balance: "2" },
    ],
    [
      "the other name where one is empty",
      { available_balance: "", card_available_balance: "1" },
      { available_balance: "1" },
    ],
    [
      "spending_limits",
      { spending_limits: [{ amount: "1", interval: "PER_TRANSACTION" }] },
      { spending_controls: [{ amount: "1", interval: "PER_TRANSACTION" }] },
    ],
    [
      "an interval that is not known yet",
      { spending_controls: [{ amount: 5, interval: "FORTNIGHTLY", per: 2 }] },
      { spending_controls: [{ amount: "5", interval: "FORTNIGHTLY", per: 2 }] },
    ],
    [
      "no spending controls",
      { spending_controls: [] },
      { spending_controls: [] },
    ],
    [
      "both lists of categories",
      { risk_control: { allowed_mcc: ["5734", 742], blocked_mcc: null } },
      { allowed_mcc: ["5734", "0742"], blocked_mcc: [] },
    ],
    [
      "empty places in a list of categories",
      { risk_control: { blocked_mcc: ["", "5999", null] } },
      { blocked_mcc: ["5999"] },
    ],
    [
      "risk_control before risk_controls",
      { risk_control: {}, risk_controls: { blocked_mcc: ["5999"] } },
      { blocked_mcc: [] },
    ],
    ["metadata", { metadata: { a: "1" } }, { metadata: { a: "1" } }],
    [
      "the empty pair as no metadata",
      { metadata: { "": "" } },
      { metadata: {} },
    ],
    ["an empty list as no metadata", { metadata: [] }, { metadata: {} }],
    [
      "an amount glued to its currency",
      { no_pin_payment_amount: "2000USD" },
      { no_pin_payment_amount: "2000" },
    ],
  ])("are read: %s", (_what, data, facts) => {
    expect(eventIn(decode(UPDATE, data))).toMatchObject({ facts });
  });

  test.each([
    [
      { amount: "5", interval: "PER_TRANSACTION", per: 2 },
      { amount: "5", interval: "PER_TRANSACTION", per: 2 },
    ],
    [
      { amount: 5, interval: "PER_TRANSACTION", per: 2 },
      { amount: "5", interval: "PER_TRANSACTION", per: 2 },
    ],
    [
      { amount: "5", interval: "", per: 2 },
      { amount: "5", per: 2 },
    ],
    [{ amount: "", interval: null, per: 2 }, { per: 2 }],
    [{ per: 2 }, { per: 2 }],
  ])("keep of the spending control %j all that it says", (control, kept) => {
    const { facts } = eventIn(decode(UPDATE, { spending_controls: [control] }));

    expect(facts).toHaveProperty("spending_controls", [kept]);
  });

  test.each([
    [{ "": "", a: "1" }, { a: "1" }],
    [{ "": "1" }, { "": "1" }],
  ])("keep of the metadata %j all but the empty pair", (metadata, kept) => {
    const { facts } = eventIn(decode(UPDATE, { metadata }));

    expect(facts).toHaveProperty("metadata", kept);
  });

  test.each([
    ["risk_control", [null, "", []]],
    ["risk_controls", [null, "", []]],
    ["cardholder", [null, "", []]],
    ["spending_controls", [null, ""]],
    ["metadata", [null, ""]],
    ["card_limit", [null, ""]],
    ["no_pin_payment_amount", [null, "", "USD"]],
    ["card_status", [null, ""]],
    ["card_number", [null, ""]],
  ])("say nothing of %s when it is one of %j", (field, unset) => {
    for (const value of unset) {
      const event = eventIn(decode(UPDATE, { [field]: value }));

      expect(event).toEqual({
        kind: "card-observed",
        eventId: "event-1",
        cardId: "card-1",
        ...times,
        facts: {},
      });
    }
  });

  test.each([
    ["an empty amount", { amount: "", interval: "PER_TRANSACTION" }],
    ["no amount", { amount: null, interval: "PER_TRANSACTION" }],
    ["an empty interval", { amount: "5", interval: "" }],
  ])(
    "a spending control with %s is kept and can be stored",
    (_what, control) => {
      const event = eventIn(decode(UPDATE, { spending_controls: [control] }));

      const known = Object.entries(control).filter(([, value]) => value);
      expect(event.facts).toMatchObject({
        spending_controls: [Object.fromEntries(known)],
      });
      expect(() => toRow(cards, cardAfter(event))).not.toThrow();
    },
  );
});

describe("an authorization", () => {
  test.each([
    [
      "its own transaction_id",
      { transaction_id: "own" },
      { source_id: "source" },
      "own",
    ],
    ["else the envelope's source_id", {}, { source_id: "source" }, "source"],
    [
      "an empty one counts as none",
      { transaction_id: "" },
      { source_id: "source" },
      "source",
    ],
    ["else the event_id", {}, {}, "event-1"],
    [
      "an unusable source_id counts as none",
      {},
      { source_id: "x".repeat(256) },
      "event-1",
    ],
  ])("is identified by %s", (_what, data, outer, transactionId) => {
    const event = eventIn(decode(AUTHORIZATION, data, outer));

    expect(event).toMatchObject({ transactionId });
  });

  const t1 = "2026-04-12T10:00:00.100000Z";
  const t2 = "2026-04-12T10:00:00.200000Z";
  test.each([
    ["its transaction_time", { transaction_time: t1, posted_time: t2 }, t1],
    ["else its posted_time", { posted_time: t2 }, t2],
    [
      "the zero date counts as none",
      { transaction_time: "0001-01-01T00:00:00Z", posted_time: t2 },
      t2,
    ],
    [
      "else it has no time",
      { transaction_time: "", posted_time: null },
      undefined,
    ],
  ])("happened at %s", (_what, data, happenedAt) => {
    expect(eventIn(decode(AUTHORIZATION, data))).toMatchObject({ happenedAt });
  });

  test.each([
    ["a list", [{ category_code: "5734", name: "A" }], "5734", "A"],
    [
      "the first of several",
      [{ category_code: "5734", name: "A" }, { category_code: "5999" }],
      "5734",
      "A",
    ],
    ["one", { category_code: 742, name: "A" }, "0742", "A"],
    ["an empty list", [], undefined, undefined],
    ["null", null, undefined, undefined],
    ["empty text", "", undefined, undefined],
    [
      "an empty merchant",
      [{ category_code: "", name: "" }],
      undefined,
      undefined,
    ],
  ])("has a merchant written as %s", (_what, merchant, mcc, merchant_name) => {
    const event = eventIn(decode(AUTHORIZATION, { merchant_data: merchant }));

    expect(event).toMatchObject({ transaction: { mcc, merchant_name } });
  });

  test.each(["approved", "DECLINED", "PENDING", "Something New"])(
    "of status %j is taken",
    (status) => {
      const event = eventIn(
        decode(AUTHORIZATION, { transaction_status: status }),
      );

      expect(event).toMatchObject({
        transaction: { transaction_status: status.toUpperCase() },
      });
    },
  );

  test("can be stored when it says only what is required", () => {
    const event = eventIn(decode(AUTHORIZATION));

    const row =
      event.kind === "authorization-reported" &&
      toRow(authorizations, authorizationAfter(event));
    expect(row).toMatchObject({ transaction_id: "event-1", mcc: null });
  });
});

describe("a hostile body of 250 KB takes less than a second", () => {
  test.each([
    ["quotes behind backslashes", `{"a":"${'\\"'.repeat(125_000)}"}`],
    ["backslashes", `{"a":"${"\\\\".repeat(125_000)}"}`],
    [
      "escapes and a number to keep",
      `{"b":1.10,"a":"${"\\n".repeat(125_000)}"}`,
    ],
    ["an open string of escapes", `{"a":"${"\\n".repeat(125_000)}`],
    ["one number", `{"a":${"1".repeat(250_000)}}`],
    ["numbers", `[${"1.10,".repeat(50_000)}1]`],
    ["an open list", "[".repeat(250_000)],
    ["lists in lists", `${"[".repeat(125_000)}${"]".repeat(125_000)}`],
    ["objects in objects", `${'{"a":'.repeat(41_000)}1${"}".repeat(41_000)}`],
    ["white space", `{"event_id"${" ".repeat(250_000)}:"e"}`],
    ["a code's name and white space", `{"a":1, "otp"${" ".repeat(250_000)}`],
    ["many codes' names", `["x"${',"otp" '.repeat(35_000)}]`],
    ["minus signs", `{"a":${"-".repeat(250_000)}}`],
    ["digits and signs", `{"a":"1"}${"1e-".repeat(80_000)}`],
    [
      "100,000 levels in an event without a handler",
      eventWith("some.type", `${"[".repeat(100_000)}${"]".repeat(100_000)}`),
    ],
    ...[
      "metadata",
      "risk_control",
      "spending_controls",
      "cardholder",
      "new_field",
    ].map((field): [string, string] => [
      `100,000 levels in ${field}`,
      eventWith(UPDATE, `${"[".repeat(100_000)}${"]".repeat(100_000)}`, field),
    ]),
    [
      "100,000 levels in merchant_data",
      eventWith(
        AUTHORIZATION,
        `${"[".repeat(100_000)}${"]".repeat(100_000)}`,
        "merchant_data",
      ),
    ],
    ...[
      "card_limit",
      "no_pin_payment_amount",
      "card_status",
      "card_number",
    ].flatMap((field): [string, string][] => [
      [
        `digits in ${field}`,
        eventWith(UPDATE, `"${"1".repeat(250_000)}x"`, field),
      ],
      [
        `spaces in ${field}`,
        eventWith(UPDATE, `"1${" ".repeat(250_000)}x"`, field),
      ],
      [
        `points in ${field}`,
        eventWith(UPDATE, `"${"1.".repeat(125_000)}x"`, field),
      ],
    ]),
    [
      "spaces in update_time",
      eventWith(STATUS, `"2026${" ".repeat(250_000)}"`, "update_time"),
    ],
    [
      "description",
      eventWith(
        AUTHORIZATION,
        `"${"merchant ".repeat(27_000)}"`,
        "description",
      ),
    ],
    [
      "125,000 wrong merchants",
      eventWith(AUTHORIZATION, `[${"1,".repeat(124_900)}1]`, "merchant_data"),
    ],
    [
      "80,000 spending controls, the last one wrong",
      eventWith(UPDATE, `[${"{},".repeat(80_000)}1]`, "spending_controls"),
    ],
    [
      "125,000 wrong spending controls",
      eventWith(UPDATE, `[${"1,".repeat(124_900)}1]`, "spending_controls"),
    ],
    [
      "60,000 wrong categories",
      eventWith(
        UPDATE,
        `{"blocked_mcc":[${"1.1,".repeat(60_000)}1]}`,
        "risk_control",
      ),
    ],
  ])("%s", (_what, text) => {
    // The processor's time, so that a busy machine does not count.
    const before = process.cpuUsage();
    const decoded = decodeText(text);
    const { user } = process.cpuUsage(before);

    expect(decoded).toHaveProperty("kind");
    expect(user / 1_000).toBeLessThan(1_000);
  });

  test("100,000 levels are JSON all the same", () => {
    const levels = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;

    expect(decodeText(eventWith("some.type", levels)).kind).toBe("unhandled");
    expect(decodeText(eventWith(UPDATE, levels)).kind).toBe("known");
  });

  test("its issues fit into an answer and a row", () => {
    const decoded = decodeText(
      eventWith(AUTHORIZATION, `[${"1,".repeat(60_000)}1]`, "merchant_data"),
    );

    expect(unreadableIn(decoded).length).toBeGreaterThan(0);
    expect(JSON.stringify(unreadableIn(decoded)).length).toBeLessThan(
      64 * 1024,
    );
  });
});

describe("an event that was kept", () => {
  test("is read from its text as it was from its bytes", () => {
    const decoded = decode(STATUS, { available_balance: 5 });
    const text = "text" in decoded ? decoded.text : "";

    expect(decodeKeptEvent(text, times)).toEqual(decoded);
  });

  test("that is no JSON any more is told as what it is", () => {
    expect(decodeKeptEvent("{", times)).toEqual({
      kind: "not-json",
      isSensitive: false,
    });
  });
});

function eventWith(eventType: string, json: string, field = "field"): string {
  const data = JSON.stringify({ ...whole[eventType], [field]: "@" });
  return `{"event_id":"e","event_type":"${eventType}","data":${data.replace('"@"', () => json)}}`;
}

function deep(levels: number): unknown {
  return levels === 0 ? 1 : [deep(levels - 1)];
}
