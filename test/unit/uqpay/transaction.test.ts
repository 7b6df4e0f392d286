import { describe, expect, test } from "@jest/globals";
import { transactions } from "../../../src/projections/transactions.ts";
import { cards } from "../../../src/projections/cards.ts";
import { statementsIn, toRow } from "../../../src/projections/rows.ts";
import { decodeEvent } from "../../../src/uqpay/decode-event.ts";
import {
  AUTHORIZATION,
  CARD_FEE,
  ENROLLMENT_FEE,
  MAINTENANCE_FEE,
  decode,
  decodeText,
  eventIn,
  times,
  unreadableIn,
} from "../../support/decoding.ts";
import { cardAfter, knownAfter } from "../../support/events.ts";

const FAMILY = "issuing.transaction.";

function rowOf(eventType: string, data: Record<string, unknown>) {
  const event = eventIn(decode(eventType, data));
  return toRow(transactions, knownAfter(transactions, [event]));
}

const WHOLE = { card_id: "card-1", transaction_status: "APPROVED" };

describe("a transaction", () => {
  test.each([
    [AUTHORIZATION, "authorization"],
    [`${FAMILY}reversal`, "reversal"],
    [`${FAMILY}refund`, "refund"],
    [`${FAMILY}settlement.credit`, "settlement.credit"],
    [`${FAMILY}settlement.debit`, "settlement.debit"],
    [`${FAMILY}settlement.reversal`, "settlement.reversal"],
    [`${FAMILY}fund.collection`, "fund.collection"],
    [`${FAMILY}fund.transfer`, "fund.transfer"],
    [`${FAMILY}validation`, "validation"],
    [`${FAMILY}atm.deposit`, "atm.deposit"],
    [`${FAMILY}chargeback.credit`, "chargeback.credit"],
    [`${FAMILY}chargeback.debit`, "chargeback.debit"],
    [CARD_FEE, "fee"],
    [ENROLLMENT_FEE, "network_protection_fee"],
    [`${FAMILY}declined`, "declined"],
    [`${FAMILY}Some.new_Word`, "Some.new_Word"],
  ])("of type %s is of kind %s", (eventType, kind) => {
    expect(rowOf(eventType, WHOLE)).toMatchObject({
      transaction_id: "event-1",
      kind,
      card_id: "card-1",
      transaction_status: "APPROVED",
    });
  });

  test("keeps all that UQPAY's page and SDKs say of one", () => {
    const row = rowOf(`${FAMILY}settlement.debit`, {
      ...WHOLE,
      transaction_id: "t-1",
      short_transaction_id: "T260412-2AHV51KO5U68",
      original_transaction_id: "t-0",
      reference_id: "ledger-1",
      remark: "a remark",
      fee_pass_through: "N",
      card_available_balance: "-0.01",
      account_id: "account-1",
      transaction_type: "SETTLEMENT DEBIT",
      billing_amount: 12345678901234.5,
    });

    expect(row).toMatchObject({
      transaction_id: "t-1",
      short_transaction_id: "T260412-2AHV51KO5U68",
      original_transaction_id: "t-0",
      reference_id: "ledger-1",
      remark: "a remark",
      fee_pass_through: "N",
      card_available_balance: "-0.01",
      account_id: "account-1",
      transaction_type: "SETTLEMENT DEBIT",
      billing_amount: "12345678901234.5",
    });
  });

  test("that is declined is judged only where it is an authorization", () => {
    const declined = {
      ...WHOLE,
      transaction_status: "DECLINED",
      description: "Forbid MCC from account",
    };

    expect(rowOf(AUTHORIZATION, declined)).toMatchObject({
      decline_category: "mcc",
      mcc_declined: true,
    });
    expect(rowOf(`${FAMILY}refund`, declined)).toMatchObject({
      decline_category: null,
      mcc_declined: false,
    });
  });
});

describe("a transaction that names no card", () => {
  test.each([
    [MAINTENANCE_FEE, "network_protection_fee"],
    [`${FAMILY}some.new.word`, "some.new.word"],
  ])("is a row of no card, and says nothing of any: %s", (type, kind) => {
    const event = eventIn(
      decode(type, {
        account_id: "account-1",
        transaction_status: "APPROVED",
        card_available_balance: "5",
      }),
    );

    expect(
      toRow(transactions, knownAfter(transactions, [event])),
    ).toMatchObject({
      kind,
      card_id: null,
      account_id: "account-1",
      card_available_balance: "5",
    });
    expect(statementsIn(cards, [event])).toEqual([]);
  });
});

describe("a fee", () => {
  test("without an id of its own has that of the event's source, and its reference beside it", () => {
    const event = eventIn(
      decode(
        CARD_FEE,
        { reference_id: "ledger-1", remark: "maintenance fee" },
        { source_id: "source-1" },
      ),
    );

    expect(
      toRow(transactions, knownAfter(transactions, [event])),
    ).toMatchObject({
      transaction_id: "source-1",
      kind: "fee",
      reference_id: "ledger-1",
      remark: "maintenance fee",
    });
  });

  test("of network protection leaves the card's balance: whose balance_amount is, UQPAY does not say", () => {
    const event = eventIn(decode(ENROLLMENT_FEE, { balance_amount: 49 }));

    expect(toRow(cards, cardAfter(event))).toMatchObject({
      available_balance: null,
    });
  });
});

describe("a name of the family that no page shows with a transaction", () => {
  test.each([
    ["not.supported", {}],
    ["not.supported", { card_id: "card-1" }],
    ["some.new.word", { card_id: "card-1", transaction_status: "" }],
    ["some.new.word", { card_id: null, transaction_status: null }],
    ["some.new.word", { account_id: "account-1", billing_amount: "5" }],
    ["declined", { card_id: "card-1" }],
  ])("%s that says %j is ignored, not refused", (kind, data) => {
    expect(decode(FAMILY + kind, data)).toMatchObject({
      kind: "unhandled",
      isSensitive: false,
      unreadable: [],
    });
  });

  test("is ignored where its status cannot be read, and says so", () => {
    const decoded = decode(`${FAMILY}some.new.word`, {
      card_id: "card-1",
      transaction_status: {},
    });

    expect(decoded.kind).toBe("unhandled");
    expect(unreadableIn(decoded)).toEqual([
      { path: "data.transaction_status", message: "must be text" },
    ]);
  });

  test("is not kept where it is ignored and has a code in it; of a transaction the code is taken out", () => {
    const ignored = decode(`${FAMILY}some.new.word`, { otp: "123456" });
    const applied = decode(`${FAMILY}some.new.word`, {
      ...WHOLE,
      otp: "123456",
    });

    expect(ignored.isSensitive).toBe(true);
    expect(applied).toMatchObject({ kind: "known", isSensitive: false });
    expect(JSON.stringify(applied)).not.toContain("123456");
  });
});

describe("the balance of a card", () => {
  const t1 = "2026-04-12T10:00:00.100000Z";
  const t2 = "2026-04-12T10:00:00.200000Z";
  test.each([
    ["when it was booked", { transaction_time: t1, posted_time: t2 }, t2],
    ["else when the card was used", { transaction_time: t1 }, t1],
    [
      "else when it was signed",
      { transaction_time: "", posted_time: "0001-01-01T00:00:00Z" },
      times.signedAt,
    ],
  ])("stood, of a transaction, %s", (_when, data, balance_as_of) => {
    for (const eventType of [AUTHORIZATION, `${FAMILY}some.new.word`]) {
      const stated = { ...WHOLE, card_available_balance: "5", ...data };

      const event = eventIn(decode(eventType, stated));

      expect(toRow(cards, cardAfter(event))).toMatchObject({
        available_balance: "5",
        balance_as_of,
      });
    }
  });

  test("is never what the account has", () => {
    const event = eventIn(
      decode(AUTHORIZATION, { balance_amount: 49, available_balance: "50" }),
    );

    expect(toRow(cards, cardAfter(event))).toMatchObject({
      available_balance: null,
      balance_as_of: null,
    });
  });
});

test("the swapped names of V1.5.2's overview name a transaction", () => {
  const decoded = decodeText(
    JSON.stringify({
      event_id: "e",
      event_type: "ISSUING",
      event_name: `${FAMILY}declined`,
      data: WHOLE,
    }),
  );

  expect(decoded).toMatchObject({
    kind: "known",
    event: { transactionKind: "declined" },
  });
});

test("any name of the family is read without an error, however long", () => {
  const eventType = `${FAMILY}${"x".repeat(235)}`;
  const body = JSON.stringify({
    event_id: "e",
    event_type: eventType,
    data: WHOLE,
  });

  expect(decodeEvent(Buffer.from(body), times)).toMatchObject({
    kind: "known",
    event: { transactionKind: "x".repeat(235) },
  });
});
