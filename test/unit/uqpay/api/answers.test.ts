import { readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import { readCard } from "../../../../src/uqpay/api/card-answer.ts";
import { readCardOrder } from "../../../../src/uqpay/api/order-answer.ts";
import { readPage } from "../../../../src/uqpay/api/page-answer.ts";
import { readTransaction } from "../../../../src/uqpay/api/transaction-answer.ts";
import { Unreadable } from "../../../../src/uqpay/fields.ts";
import { parseJsonText } from "../../../../src/uqpay/parse-json.ts";

const folder = new URL("../../../fixtures/rest/", import.meta.url);
const fixture = (name: string) =>
  parseJsonText(readFileSync(new URL(`${name}.json`, folder), "utf8"));
const json = (value: unknown) => parseJsonText(JSON.stringify(value));
const card = (members: Record<string, unknown>) =>
  readCard(json({ card_id: "card-1", ...members }));

describe("a card that UQPAY's page shows", () => {
  test("is read with all that it states, and no amount is changed", () => {
    const { unreadable, ...reading } = readCard(
      fixture("retrieve-card--docs-v1.6"),
    );

    expect(reading).toEqual({
      cardId: "c0cef051-29c5-4796-b86a-cd5b684bfad7",
      status: "ACTIVE",
      statusReason: "<string>",
      facts: {
        card_number: "************5668",
        card_bin: "40963608",
        card_scheme: "VISA",
        card_product_id: "3bd1656b-e691-4aab-a76a-3ead39e7a6f6",
        cardholder_id: "7c4ff2cd-1bf6-4aaa-bf16-266771425011",
        card_currency: "USD",
        mode_type: "SHARE",
        form_factor: "VIRTUAL",
        card_limit: "2100.02",
        available_balance: "2000.05",
        consumed_amount: "51.00",
        no_pin_payment_amount: "2000",
        spending_controls: [{ amount: "100.03", interval: "PER_TRANSACTION" }],
        risk_control: {
          allow_3ds_transactions: "Y",
          blocked_mcc: ["5999", "6011"],
        },
        allowed_mcc: [],
        blocked_mcc: ["5999", "6011"],
        metadata: { key1: "value1", key2: "value2" },
      },
    });
    expect(unreadable).toEqual([]);
  });

  test("has nothing personal left in it", () => {
    const reading = JSON.stringify(
      readCard(fixture("retrieve-card--docs-v1.6")),
    );

    for (const personal of [
      "Emily",
      "Toy",
      "demo@example.com",
      "86683306",
      "1990-01-01",
      "Buona Vista",
      "sumsub",
      "MALE",
    ])
      expect(reading).not.toContain(personal);
  });
});

describe("a list of cards", () => {
  test("is read with UQPAY's own counts", () => {
    const page = readPage(fixture("list-cards--docs-v1.6"), readCard, 100);

    expect(page).toMatchObject({
      totalItems: 10,
      totalPages: 1,
      unreadableItems: 0,
    });
    expect(page.items).toHaveLength(1);
    expect(JSON.stringify(page)).not.toMatch(/Emily|Toy|demo@/);
  });

  test("states neither the spending controls nor the amount without a PIN", () => {
    const { items } = readPage(fixture("list-cards--sdk-3.1"), readCard, 100);

    for (const { facts } of items) {
      expect(facts["spending_controls"]).toBeUndefined();
      expect(facts["no_pin_payment_amount"]).toBeUndefined();
    }
  });

  test("has its metadata as JSON text, of which an empty one is not stated", () => {
    const { items } = readPage(fixture("list-cards--sdk-3.1"), readCard, 100);

    expect(items.map(({ facts }) => facts["metadata"])).toEqual([
      undefined,
      undefined,
      undefined,
      { reference: "0001", unicode: "测试", empty: "" },
    ]);
    expect(items.flatMap(({ unreadable }) => unreadable)).toEqual([]);
  });

  test("keeps amounts that no number of JavaScript holds", () => {
    const { items } = readPage(fixture("list-cards--sdk-3.1"), readCard, 100);

    expect(items[0]?.facts).toMatchObject({
      card_limit: "12345678901234567890.12",
      available_balance: "0.01",
      cardholder_id: undefined,
    });
  });

  test("passes over an item without an id, and counts it", () => {
    const page = readPage(
      json({ total_items: "2", data: [{ card_id: "a" }, { card_id: "" }, 7] }),
      readCard,
      100,
    );

    expect(page.items.map(({ cardId }) => cardId)).toEqual(["a"]);
    expect(page).toMatchObject({
      totalItems: 2,
      totalPages: 1,
      unreadableItems: 2,
    });
  });

  test("that is null is empty", () => {
    const page = readPage(json({ total_items: 0, data: null }), readCard, 100);

    expect(page).toEqual({
      items: [],
      totalItems: 0,
      totalPages: 0,
      unreadableItems: 0,
    });
  });

  test.each([
    ["no object", []],
    ["no list", { total_items: 0 }],
    ["no count", { data: [] }],
    ["a count that is none", { data: [], total_items: -1 }],
  ])("with %s in it is refused", (_, answer) => {
    expect(() => readPage(json(answer), readCard, 100)).toThrow(Unreadable);
  });

  test("does not hide a mistake of ours", () => {
    const broken = () => {
      throw new TypeError("ours");
    };

    expect(() =>
      readPage(json({ total_items: 1, data: [1] }), broken, 100),
    ).toThrow(TypeError);
  });
});

describe("what an answer does not state", () => {
  test.each([[null], [""], [{}], [undefined]])(
    "%j is never taken for empty",
    (nothing) => {
      const reading = card({
        card_status: nothing,
        update_reason: nothing,
        card_limit: nothing,
        available_balance: nothing,
        spending_controls: nothing,
        risk_controls: nothing,
        metadata: nothing,
        cardholder: nothing,
        no_pin_payment_amount: nothing,
        consumed_amount: nothing,
      });

      expect(JSON.parse(JSON.stringify(reading))).toEqual({
        cardId: "card-1",
        facts: {},
        unreadable: [],
      });
    },
  );

  test.each([[{ "": "" }], ["{}"], ['{"":""}'], [[]]])(
    "metadata as %j is none",
    (metadata) => {
      expect(card({ metadata }).facts["metadata"]).toBeUndefined();
    },
  );

  test("the amount without a PIN is none when the currency stands alone", () => {
    const amountOf = (text: string) =>
      card({ no_pin_payment_amount: text }).facts["no_pin_payment_amount"];

    expect(amountOf("USD")).toBeUndefined();
    expect(amountOf("200USD")).toBe("200");
  });

  test("null in the risk controls says nothing of that list", () => {
    const { facts } = card({
      risk_controls: {
        allow_3ds_transactions: "N",
        enable_3ds: "",
        allowed_mcc: null,
        blocked_mcc: null,
      },
    });

    expect(facts["risk_control"]).toEqual({ allow_3ds_transactions: "N" });
    expect(facts["allowed_mcc"]).toBeUndefined();
    expect(facts["blocked_mcc"]).toBeUndefined();
  });
});

describe("what an answer states as empty", () => {
  test("is an empty list of controls", () => {
    expect(card({ spending_controls: [] }).facts["spending_controls"]).toEqual(
      [],
    );
  });

  test("is an empty list of codes, of either name of the controls", () => {
    for (const name of ["risk_controls", "risk_control"])
      expect(
        card({ [name]: { allowed_mcc: [], blocked_mcc: [] } }).facts,
      ).toMatchObject({ allowed_mcc: [], blocked_mcc: [] });
  });

  test("is the other list where a card's one list has codes", () => {
    const listsOf = (risk_controls: Record<string, unknown>) => {
      const { allowed_mcc, blocked_mcc } = card({ risk_controls }).facts;
      return { allowed_mcc, blocked_mcc };
    };

    expect(listsOf({ allowed_mcc: [742], blocked_mcc: null })).toEqual({
      allowed_mcc: ["0742"],
      blocked_mcc: [],
    });
    expect(listsOf({ allowed_mcc: null, blocked_mcc: [] })).toEqual({
      allowed_mcc: undefined,
      blocked_mcc: [],
    });
  });
});

describe("what cannot be read in an answer", () => {
  test("counts as not stated, and is named without its value", () => {
    const { facts, unreadable } = card({
      card_limit: "lots",
      metadata: "no JSON",
      risk_controls: { allowed_mcc: ["canary"] },
    });

    expect(facts).toMatchObject({
      card_limit: undefined,
      metadata: undefined,
      allowed_mcc: undefined,
    });
    expect(facts["risk_control"]).toBeUndefined();
    expect(unreadable.map(({ path }) => path).toSorted()).toEqual([
      "card_limit",
      "metadata",
      "risk_controls.allowed_mcc.0",
    ]);
    expect(JSON.stringify(unreadable)).not.toMatch(/lots|no JSON|canary/);
  });

  test.each([[undefined], [null], [""], [7], ["x".repeat(256)]])(
    "an id of %j refuses the card",
    (card_id) => {
      expect(() => readCard(json({ card_id }))).toThrow(Unreadable);
    },
  );

  test("is an answer that is no object", () => {
    expect(() => readCard(json([]))).toThrow(Unreadable);
  });
});

describe("a transaction that UQPAY's pages show", () => {
  test("is read with all that it states, without the card's balance", () => {
    const listed = readPage(
      fixture("list-cards-transactions--docs-v1.6"),
      readTransaction,
      100,
    );
    const reading = readTransaction(
      fixture("retrieve-cards-transaction--docs-v1.6"),
    );

    expect(listed.items).toEqual([reading]);
    expect(reading).toEqual({
      transactionId: "5135e6cc-28b6-4889-81dc-3b86a09e1395",
      cardId: "c0cef051-29c5-4796-b86a-cd5b684bfad7",
      transactionType: "AUTHORIZATION",
      happenedAt: "2024-03-21T09:17:32.000000Z",
      transaction: {
        cardholder_id: "7c4ff2cd-1bf6-4aaa-bf16-266771425011",
        short_transaction_id: "CT2024-03-01",
        original_transaction_id: "1234e6cc-28b6-4889-81dc-3b86a09e1395",
        transaction_type: "AUTHORIZATION",
        transaction_status: "DECLINED",
        description: "1107 - Invalid CVV2",
        transaction_amount: "100.25",
        transaction_currency: "USD",
        billing_amount: "70.25",
        billing_currency: "SGD",
        transaction_fee: "0.25",
        transaction_fee_currency: "SGD",
        fee_pass_through: "Y",
        authorization_code: "856268",
        wallet_type: "ApplePay",
        transaction_time: "2024-03-21T09:17:32.000000Z",
        posted_time: "2024-03-21T09:17:32.000000Z",
        mcc: "6011",
        merchant_name: "ACQUIRER NAME",
        merchant_city: "CITY NAME",
        merchant_country: "CN",
      },
      unreadable: [],
    });
  });

  test("may have no merchant, and happened when it was posted where nothing else is said", () => {
    const reading = readTransaction(
      json({
        transaction_id: "t",
        merchant_data: {},
        posted_time: "2026-09-17T00:00:00Z",
        settlement_status: "settled",
      }),
    );

    expect(reading).toMatchObject({
      cardId: undefined,
      happenedAt: "2026-09-17T00:00:00.000000Z",
      settlementStatus: "SETTLED",
      transaction: { mcc: undefined },
      unreadable: [],
    });
  });
});

describe("an order that UQPAY's pages show", () => {
  test("is read, whether its amount is a number or text", () => {
    const { orders } = fixture("card-orders--sdk-3.1") as { orders: unknown[] };
    const readings = orders.map(readCardOrder);

    expect(
      readings.map(({ orderStatus, amount, reason, completedAt }) => [
        orderStatus,
        amount,
        reason,
        completedAt,
      ]),
    ).toEqual([
      ["PROCESSING", undefined, undefined, undefined],
      ["FAILED", undefined, "INVALID_PIN", "2026-09-17T02:00:00.000000Z"],
      ["SUCCESS", "1.25", undefined, "2026-09-17T02:00:00.000000Z"],
      ["SUCCESS", "1.25", undefined, "2026-09-17T02:00:00.000000Z"],
    ]);
    expect(readCardOrder(fixture("retrieve-card-order--docs-v1.6"))).toEqual({
      orderId: "c0cef051-29c5-4796-b86a-cd5ee34bfad7",
      cardId: "c0cef051-29c5-4796-b86a-cd5b684bfad7",
      orderType: "CREATE_CARD",
      orderStatus: "PENDING",
      amount: "100.02",
      currency: "USD",
      reason: undefined,
      createdAt: "2024-03-21T09:17:32.000000Z",
      updatedAt: "2024-03-21T09:17:32.000000Z",
      completedAt: "2024-03-21T09:17:32.000000Z",
      unreadable: [],
    });
  });

  test("says why it failed in words where there are any", () => {
    const order = { card_order_id: "o", failure_code: "X" };

    expect(readCardOrder(json(order)).reason).toBe("X");
    expect(
      readCardOrder(json({ ...order, failure_reason: "too little" })).reason,
    ).toBe("too little");
  });
});
