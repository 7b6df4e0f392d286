import { describe, expect, test } from "@jest/globals";
import {
  decodeEvent,
  decodeKeptEvent,
} from "../../../src/uqpay/decode-event.ts";
import {
  findEventType,
  handledEventTypes,
} from "../../../src/uqpay/event-types/index.ts";

import {
  times,
  STATUS,
  UPDATE,
  CREATE,
  ACTIVATION,
  RECHARGE,
  WITHDRAW,
  ELEVATE,
  PIN_BLOCK,
  ENROLLED,
  REMOVED,
  KYC,
  HOLDER_UPDATE,
  AUTHORIZATION,
  whole,
  REFUND,
  CARD_FEE,
  ENROLLMENT_FEE,
  MAINTENANCE_FEE,
  decodeText,
  decode,
  decodeRaw,
  issuesIn,
  unreadableIn,
  camelCaseOf,
  pathsIn,
  eventWith,
} from "../../support/decoding.ts";

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

  test.each(["{}", '{"a":1.10}'])(
    "of a name that comes twice the last counts, as in jsonb, beside %s",
    (data) => {
      const decoded = decodeText(
        `{"event_id":"first","event_id":"last","event_type":"some.type","data":${data}}`,
      );

      expect(decoded).toMatchObject({ envelope: { eventId: "last" } });
    },
  );

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
    "card.activated",
    "card.closed",
    "issuing.fee.other",
    "issuing.transaction.",
    "ISSUING.TRANSACTION.REFUND",
    "CARD.UPDATE.SUCCEEDED",
  ])("%s has none", (eventType) => {
    expect(decode(eventType).kind).toBe("unhandled");
  });

  test("these have one", () => {
    expect(handledEventTypes.toSorted()).toEqual(Object.keys(whole).toSorted());
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

  describe.each([KYC, HOLDER_UPDATE])("of %s", (eventType) => {
    const person = {
      first_name: "Canary",
      email: "canary@example.com",
      cardholder_id: "holder-1",
      cardholder_status: "SUCCESS",
      reason: "Canary",
      idv_status: { canary: 1 },
      card_id: "card-1",
    };

    test("all but what is read of the event, which stays the same", () => {
      const decoded = decode(eventType, person, { source_id: "holder-1" });

      expect(decoded).toMatchObject({
        kind: "known",
        isPersonal: true,
        isRedacted: true,
        isSensitive: false,
      });
      const { text, event } = decoded as unknown as Record<string, string>;
      expect(text?.toLowerCase()).not.toContain("canary");
      expect(decodeKeptEvent(String(text), times)).toMatchObject({
        kind: "known",
        text,
        event,
        unreadable: [],
      });
    });

    test.each([
      ["a field that is required is missing", { cardholder_id: "" }, {}],
      ["the envelope is broken", {}, { event_id: null }],
      [
        "the names are swapped and it is broken",
        {},
        { event_id: null, event_type: "ISSUING", event_name: eventType },
      ],
    ])("the whole where %s", (_what, data, outer) => {
      const decoded = decode(eventType, { ...person, ...data }, outer);

      expect(decoded).toMatchObject({ kind: "malformed", isSensitive: true });
    });

    test("the whole where it is no JSON", () => {
      expect(decodeText(`{"event_type":"${eventType}","email":`)).toEqual({
        kind: "not-json",
        isSensitive: true,
      });
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
    [RECHARGE, ["card_id"]],
    [WITHDRAW, ["card_id"]],
    [ELEVATE, ["card_id", "per_transaction_limit", "expires_at"]],
    [PIN_BLOCK, ["card_id"]],
    [ENROLLED, ["card_id"]],
    [REMOVED, ["card_id"]],
    [KYC, ["cardholder_id"]],
    [HOLDER_UPDATE, ["cardholder_id"]],
    [AUTHORIZATION, ["card_id", "transaction_status"]],
    [REFUND, ["card_id", "transaction_status"]],
    [CARD_FEE, ["card_id", "transaction_status"]],
    [ENROLLMENT_FEE, ["card_id", "transaction_status"]],
    [MAINTENANCE_FEE, ["transaction_status"]],
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

  test("a mistake of ours is not taken for a body that is no JSON", () => {
    const noText = undefined as unknown as string;

    expect(() => decodeKeptEvent(noText, times)).toThrow(TypeError);
  });

  test("brings to its event only the times of its record, whatever else that has", () => {
    const record = {
      ...times,
      eventId: "another",
      state: "processed",
      body: "",
    };
    const text = JSON.stringify({
      event_id: "event-1",
      event_type: STATUS,
      data: {
        card_id: "c",
        card_status: "ACTIVE",
        update_time: "2026-04-12T10:00:00Z",
      },
    });

    const decoded = decodeKeptEvent(text, record);

    expect(decoded).toMatchObject({ event: { eventId: "event-1" } });
    expect(decoded).not.toHaveProperty(["event", "state"]);
  });

  test("that is no JSON any more is told as what it is", () => {
    expect(decodeKeptEvent("{", times)).toEqual({
      kind: "not-json",
      isSensitive: false,
    });
  });
});
