import { describe, expect, test } from "@jest/globals";
import { fieldOf, unreadableFields } from "../../../src/uqpay/decode-event.ts";
import {
  findEventType,
  handledEventTypes,
  leavesCardAlone,
} from "../../../src/uqpay/event-types/index.ts";
import { transactions } from "../../../src/projections/transactions.ts";
import { cards } from "../../../src/projections/cards.ts";
import { toRow } from "../../../src/projections/rows.ts";
import { transactionAfter, cardAfter } from "../../support/events.ts";

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
  CREATE_FAILED,
  FAILED_ORDERS,
  KYC,
  HOLDER_UPDATE,
  AUTHORIZATION,
  TRANSACTIONS,
  CARD_FEE,
  ENROLLMENT_FEE,
  MAINTENANCE_FEE,
  decodeText,
  decode,
  decodeRaw,
  eventIn,
  factsIn,
  issuesIn,
  unreadableIn,
  deep,
} from "../../support/decoding.ts";

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
    flag: [0, 1, {}, ["Y"], "perhaps", " "],
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

  const orderFields: typeof cardFields = [
    ["card_order_id", "id"],
    ["order_status", "status"],
    ["amount", "amount"],
    ["failure_reason", "text"],
    ["failure_code", "word"],
    ["reason", "text"],
    ["description", "text"],
    ["complete_time", "time"],
  ];

  const snapshotFields: typeof cardFields = [
    ...cardFields,
    ...orderFields,
    ["card_status", "status"],
    ["update_time", "time"],
  ];

  const failedFields: typeof cardFields = [
    ...orderFields,
    ["card_id", "id"],
    ["card_currency", "word"],
    ["currency", "word"],
    ["update_time", "time"],
  ];

  const protectionFields: typeof cardFields = [
    ["cardholder_id", "id"],
    ["card_scheme", "word"],
    ["status", "status"],
    ["enabled", "flag"],
    ["action_code", "word"],
    ["update_time", "time"],
  ];

  const transactionFields: typeof cardFields = [
    ["transaction_id", "id"],
    ["account_id", "id"],
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
    ["fee_pass_through", "word"],
    ["authorization_code", "word"],
    ["original_transaction_id", "id"],
    ["short_transaction_id", "word"],
    ["reference_id", "word"],
    ["remark", "text"],
    ["wallet_type", "word"],
    ["merchant_data", "merchants"],
    ["transaction_time", "time"],
    ["posted_time", "time"],
  ];

  const holderFields: typeof cardFields = [
    ["cardholder_status", "status"],
    ["idv_status", "status"],
    ["update_time", "time"],
  ];

  const fieldsByType: Readonly<
    Record<string, readonly (readonly [string, keyof typeof wrong])[]>
  > = {
    [STATUS]: [...cardFields, ...orderFields, ["update_reason", "text"]],
    [UPDATE]: snapshotFields,
    [CREATE]: snapshotFields,
    [CREATE_FAILED]: [
      ...cardFields,
      ...orderFields,
      ["card_id", "id"],
      ["update_time", "time"],
    ],
    ...Object.fromEntries(FAILED_ORDERS.map((name) => [name, failedFields])),
    [ACTIVATION]: [...cardFields, ["activation_status", "status"]],
    [RECHARGE]: snapshotFields,
    [WITHDRAW]: snapshotFields,
    [ELEVATE]: [
      ...orderFields,
      ["card_currency", "word"],
      ["currency", "word"],
      ["created_at", "time"],
      ["update_time", "time"],
    ],
    [PIN_BLOCK]: [],
    [ENROLLED]: protectionFields,
    [REMOVED]: protectionFields,
    [KYC]: holderFields,
    [HOLDER_UPDATE]: holderFields,
    ...Object.fromEntries(
      [...TRANSACTIONS, CARD_FEE, ENROLLMENT_FEE].map((name) => [
        name,
        transactionFields,
      ]),
    ),
    [MAINTENANCE_FEE]: [...transactionFields, ["card_id", "id"]],
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

    expect(factsIn(decoded)).toEqual({
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

  test.each(["{}", "[]", "[1.10]"])(
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

describe("the time of money that moved", () => {
  const t1 = "2026-04-12T10:00:00.100000Z";
  const t2 = "2026-04-12T10:00:00.200000Z";

  test.each([
    ["its complete_time", { complete_time: t1, update_time: t2 }, t1],
    ["else its update_time", { update_time: t2 }, t2],
    ["an empty one counts as none", { complete_time: "", update_time: t2 }, t2],
    [
      "the zero date counts as none",
      { complete_time: "0001-01-01T00:00:00Z", update_time: t2 },
      t2,
    ],
    ["one that cannot be read, too", { complete_time: 1, update_time: t2 }, t2],
    ["else that of the signing", {}, undefined],
  ])("is %s", (_what, data, observedAt) => {
    for (const eventType of [RECHARGE, WITHDRAW])
      expect(eventIn(decode(eventType, data))).toMatchObject({
        kind: "card-observed",
        observedAt,
      });
  });
});

describe("a raised limit", () => {
  test("has an amount and an end, and is dated by its creation", () => {
    const decoded = decode(ELEVATE, {
      per_transaction_limit: 80000,
      created_at: "2026-05-14T09:30:00Z",
      currency: "USD",
    });

    expect(eventIn(decoded)).toMatchObject({
      observedAt: "2026-05-14T09:30:00.000000Z",
      facts: {
        elevated_limit: "80000",
        elevated_limit_until: "2026-05-21T09:30:00.000000Z",
      },
    });
  });

  test.each(["card_id", "per_transaction_limit", "expires_at"])(
    "without %s is refused",
    (name) => {
      expect(issuesIn(decode(ELEVATE, { [name]: "" }))).toEqual([
        { path: `data.${name}`, message: "is required" },
      ]);
    },
  );
});

describe("network protection", () => {
  test.each([
    [ENROLLED, {}, { status: "ENROLLED", enabled: true }],
    [REMOVED, {}, { status: "REMOVED", enabled: false }],
    [ENROLLED, { status: "pending" }, { status: "PENDING", enabled: true }],
    [ENROLLED, { enabled: false }, { status: "ENROLLED", enabled: false }],
    [ENROLLED, { enabled: "N" }, { enabled: false }],
    [REMOVED, { enabled: "true" }, { enabled: true }],
    [ENROLLED, { action_code: 4 }, { action_code: "4" }],
    [ENROLLED, {}, { action_code: null, update_time: null }],
    [
      ENROLLED,
      { update_time: "2026-04-23T10:00:00+08:00" },
      { update_time: "2026-04-23T02:00:00.000000Z" },
    ],
  ])("of %s with %j is %j", (eventType, data, network_protection) => {
    expect(factsIn(decode(eventType, data))).toMatchObject({
      network_protection,
    });
  });
});

describe("an order", () => {
  const time = "2026-04-12T10:00:00.000000Z";

  test.each([
    [CREATE, "create"],
    [UPDATE, "update"],
    [STATUS, "status"],
    [RECHARGE, "recharge"],
    [WITHDRAW, "withdraw"],
    [ELEVATE, "elevate_limit"],
  ])("of %s is a %s that succeeded", (eventType, order_type) => {
    const event = eventIn(decode(eventType, {}, { source_id: "order" }));

    expect(event).toMatchObject({
      order: {
        orderId: "order",
        facts: { order_type, order_status: "SUCCESS" },
      },
    });
  });

  test.each([
    ["card.create.failed", "create"],
    ["card.update.failed", "update"],
    ["card.status.update.failed", "status"],
    ["card.recharge.failed", "recharge"],
    ["card.withdraw.failed", "withdraw"],
    ["card.elevate_limit.failed", "elevate_limit"],
  ])("of %s is a %s that failed, also of no card", (eventType, order_type) => {
    const decoded = decode(eventType, { card_id: "" }, { source_id: "order" });

    expect(eventIn(decoded)).toEqual({
      kind: "order-failed",
      eventId: "event-1",
      ...times,
      order: {
        orderId: "order",
        facts: { order_type, order_status: "FAILED" },
      },
    });
  });

  test.each([
    [
      "the envelope's source_id",
      { card_order_id: "own" },
      { source_id: "source" },
      "source",
    ],
    ["else its card_order_id", { card_order_id: "own" }, {}, "own"],
  ])("is named by %s", (_what, data, outer, orderId) => {
    expect(eventIn(decode(UPDATE, data, outer))).toMatchObject({
      order: { orderId },
    });
  });

  test("that has no name is none", () => {
    expect(eventIn(decode(UPDATE))).toMatchObject({ order: undefined });
    expect(eventIn(decode("card.update.failed"))).toMatchObject({
      order: undefined,
    });
  });

  test.each([
    [
      "its own status",
      { order_status: "processing" },
      { order_status: "PROCESSING" },
    ],
    [
      "an amount with its currency",
      { amount: 200, card_currency: "USD" },
      { amount: "200", currency: "USD" },
    ],
    [
      "the other name of the currency",
      { amount: "1", currency: "SGD" },
      { amount: "1", currency: "SGD" },
    ],
    [
      "no currency without an amount",
      { card_currency: "USD" },
      { currency: undefined },
    ],
    [
      "the failure's reason",
      { failure_reason: "a", failure_code: "b" },
      { reason: "a" },
    ],
    ["else its code", { failure_code: 17, reason: "c" }, { reason: "17" }],
    ["else a reason", { reason: "c", description: "d" }, { reason: "c" }],
    ["else a description", { description: "d" }, { reason: "d" }],
    [
      "its completion",
      { complete_time: time, update_time: "2026-04-12T11:00:00Z" },
      { completed_at: time },
    ],
  ])("states %s", (_what, data, facts) => {
    for (const eventType of [RECHARGE, "card.recharge.failed"])
      expect(
        eventIn(decode(eventType, data, { source_id: "order" })),
      ).toMatchObject({ order: { facts } });
  });

  test("of a raised limit is dated by its creation and has it as its amount", () => {
    const decoded = decode(
      ELEVATE,
      { created_at: time, currency: "USD" },
      { source_id: "order" },
    );

    expect(eventIn(decoded)).toMatchObject({
      order: { happenedAt: time, facts: { amount: "80000", currency: "USD" } },
    });
  });
});

describe("a creation that failed", () => {
  test("announces FAILED where it names a card, with its reason", () => {
    const decoded = decode(
      CREATE_FAILED,
      {
        card_id: "card-1",
        failure_reason: "no funds",
        update_time: "2026-04-12T10:00:00Z",
        card_scheme: "VISA",
      },
      { source_id: "order" },
    );

    expect(eventIn(decoded)).toMatchObject({
      kind: "status-announced",
      cardId: "card-1",
      status: "FAILED",
      reason: "no funds",
      changedAt: "2026-04-12T10:00:00.000000Z",
      facts: { card_scheme: "VISA" },
      order: { facts: { order_status: "FAILED", reason: "no funds" } },
    });
  });
});

describe("which types leave the card alone that they may name", () => {
  test("are those of failed orders and of cardholders", () => {
    expect(handledEventTypes.filter(leavesCardAlone).toSorted()).toEqual(
      [...FAILED_ORDERS, KYC, HOLDER_UPDATE].toSorted(),
    );
    expect(leavesCardAlone("some.type")).toBe(false);
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
    const facts = factsIn(decode(UPDATE, { spending_controls: [control] }));

    expect(facts).toHaveProperty("spending_controls", [kept]);
  });

  test.each([
    [{ "": "", a: "1" }, { a: "1" }],
    [{ "": "1" }, { "": "1" }],
  ])("keep of the metadata %j all but the empty pair", (metadata, kept) => {
    const facts = factsIn(decode(UPDATE, { metadata }));

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
      const decoded = decode(UPDATE, { spending_controls: [control] });

      const event = eventIn(decoded);
      const known = Object.entries(control).filter(([, value]) => value);
      expect(factsIn(decoded)).toMatchObject({
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
      event.kind === "transaction-reported" &&
      toRow(transactions, transactionAfter(event));
    expect(row).toMatchObject({ transaction_id: "event-1", mcc: null });
  });
});
