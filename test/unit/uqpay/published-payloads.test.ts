import { describe, expect, test } from "@jest/globals";
import type { Instant } from "../../../src/domain/instant.ts";
import type { Decoded } from "../../../src/uqpay/decode-event.ts";
import { decodeEvent } from "../../../src/uqpay/decode-event.ts";
import {
  compactBytes,
  fileBytes,
  payload,
  payloadNames,
} from "../../support/fixtures.ts";

const signedAt = "2026-05-01T08:00:00.123000Z" as Instant;
const receivedAt = "2026-05-01T08:00:01.456789Z" as Instant;

/** What a payload means, written down from reading it and domain.md. */
type Meaning =
  | { kind: "known"; event: Record<string, unknown>; isPersonal?: true }
  | { kind: "unhandled"; cardId?: string; isSensitive?: true }
  | { kind: "malformed"; issues: { path: string; message: string }[] };

const meanings: Readonly<Record<string, Meaning>> = {
  "card.3ds.otp--docs-v1.6-webhook-3ds-otp": {
    kind: "unhandled",
    isSensitive: true,
    cardId: "1d749d10-511e-469f-9a83-0560a602ac37",
  },
  "card.PIN.retry.exceed.soft.block--docs-v1.5.2-pin-retry-webhook": {
    kind: "known",
    event: {
      kind: "pin-blocked",
      cardId: "1d749d10-511e-469f-9a83-0560a602ac37",
      facts: {},
    },
  },
  "card.activation.code--docs-v1.6-webhook-activation-code": {
    kind: "unhandled",
    isSensitive: true,
    cardId: "ba4bdf3e-c2b7-4197-9487-dc269e77b2c0",
  },
  "card.activation.code--sdk-go-issuing_test": {
    kind: "unhandled",
    isSensitive: true,
    cardId: "52d51b68-9691-4448-ac5f-dcbbef9c62f8",
  },
  "card.activation.status--docs-v1.6-webhook-activation-status": {
    kind: "known",
    event: {
      kind: "card-observed",
      cardId: "ba4bdf3e-c2b7-4197-9487-dc269e77b2c0",
      status: "ACTIVE",
      facts: { card_number: "40963608****5859" },
    },
  },
  "card.create.succeeded--docs-v1.6-webhook-card-created": {
    kind: "known",
    event: {
      kind: "card-observed",
      cardId: "f5d1e60a-6852-4fea-bb09-1d5bdab657a0",
      status: "ACTIVE",
      facts: {
        card_number: "40963608****8664",
        card_bin: "40963608",
        card_scheme: "VISA",
        card_product_id: "467e993f-317a-49fc-9ea0-bf49de7d1f76",
        cardholder_id: "25ea804d-7fd5-43d5-8792-0fc0214cdb2f",
        mode_type: "SHARE",
        form_factor: "VIRTUAL",
        available_balance: "1000",
        spending_controls: [{ amount: "20000", interval: "PER_TRANSACTION" }],
        allowed_mcc: [],
        blocked_mcc: [],
        risk_control: { enable_3ds: "Y", allow_3ds_transactions: "Y" },
        metadata: {},
      },
      order: {
        orderId: "ed977d6b-d86a-4cda-9e54-92cf0ce6228a",

        facts: { order_type: "create", order_status: "SUCCESS" },
      },
    },
  },
  "card.create.succeeded--sdk-go-issuing_test": {
    kind: "known",
    event: {
      kind: "card-observed",
      cardId: "a738d29b-3dd7-4fe4-9119-3a3024100f30",
      status: "ACTIVE",
      facts: {
        card_number: "49372418****4306",
        card_bin: "49372418",
        card_scheme: "VISA",
        card_product_id: "5a9239b7-1618-41a5-989b-4a41fc2d4856",
        cardholder_id: "a88465b4-f9f2-45f6-bc28-ecadaad1062f",
        mode_type: "SINGLE",
        form_factor: "VIRTUAL",
        available_balance: "10000",
        spending_controls: [{ amount: "2500", interval: "PER_TRANSACTION" }],
        allowed_mcc: [],
        blocked_mcc: [],
        risk_control: {},
        metadata: {},
      },
      order: {
        orderId: "16f6c372-e69e-432c-9af3-14fa84800224",

        facts: { order_type: "create", order_status: "SUCCESS" },
      },
    },
  },
  "card.create.succeeded--sdk-node-2.0.0-webhooks.test": {
    kind: "malformed",
    issues: [{ path: "data.card_id", message: "is required" }],
  },
  "card.elevate_limit.succeeded--docs-v1.6-webhook-card-elevate-limit": {
    kind: "known",
    event: {
      kind: "card-observed",
      cardId: "75a21778-6c83-45e1-abae-02205e931164",
      observedAt: "2026-05-14T09:30:00.000000Z",
      facts: {
        elevated_limit: "80000",
        elevated_limit_until: "2026-05-21T09:30:00.000000Z",
      },
      order: {
        orderId: "be8c499e-b8d5-42f2-8933-768e1c8a8680",
        happenedAt: "2026-05-14T09:30:00.000000Z",
        facts: {
          order_type: "elevate_limit",
          order_status: "SUCCESS",
          amount: "80000",
          currency: "USD",
        },
      },
    },
  },
  "card.recharge.succeeded--sdk-go-issuing_test": {
    kind: "known",
    event: {
      kind: "card-observed",
      cardId: "a738d29b-3dd7-4fe4-9119-3a3024100f30",
      status: "ACTIVE",
      observedAt: "2026-01-26T07:39:02.000000Z",
      facts: { card_currency: "USD", available_balance: "10199" },
      order: {
        orderId: "a8c73130-8bda-45f7-bc88-f5edc3fbaf74",
        happenedAt: "2026-01-26T07:39:02.000000Z",
        facts: {
          order_type: "recharge",
          order_status: "SUCCESS",
          amount: "200",
          currency: "USD",
          completed_at: "2026-01-26T07:39:02.000000Z",
        },
      },
    },
  },
  "card.risk_control.network_protection.enrolled--docs-v1.6-webhook-network-protection-status":
    {
      kind: "known",
      event: {
        kind: "card-observed",
        cardId: "CARD_xxx",
        observedAt: "2026-04-23T10:00:00.000000Z",
        facts: {
          cardholder_id: "CH_xxx",
          card_scheme: "VISA",
          network_protection: {
            status: "ENROLLED",
            enabled: true,
            action_code: "41",
            update_time: "2026-04-23T10:00:00.000000Z",
          },
        },
      },
    },
  "card.risk_control.network_protection.enrollment_fee.charged--docs-v1.6-webhook-network-protection-fee":
    {
      kind: "known",
      event: {
        kind: "transaction-reported",
        cardId: "CARD_xxx",
        transactionId: "TXN_xxx",
        transactionKind: "network_protection_fee",
        happenedAt: "2026-04-23T10:00:00.000000Z",
        bookedAt: "2026-04-23T10:01:00.000000Z",
        facts: {},
        transaction: {
          transaction_type: "FEE",
          transaction_status: "APPROVED",
          transaction_amount: "1",
          transaction_currency: "USD",
          remark: "ASAF enrollment fee, card=****1234, action_code=41",
          transaction_time: "2026-04-23T10:00:00.000000Z",
          posted_time: "2026-04-23T10:01:00.000000Z",
        },
      },
    },
  "card.status.update.succeeded--docs-v1.6-card-lifecycle": {
    kind: "known",
    event: {
      kind: "status-announced",
      cardId: "3974bad1-247b-4939-8965-3223182fba1f",
      status: "FROZEN",
      changedAt: "2025-07-21T13:11:06.000000Z",
      facts: { card_number: "46119903****1244" },
      order: {
        orderId: "3f3d036e-732c-4f9e-a4b7-3019c0adf749",
        happenedAt: "2025-07-21T13:11:06.000000Z",
        facts: { order_type: "status", order_status: "SUCCESS" },
      },
    },
  },
  "card.status.update.succeeded--docs-v1.6-webhook-card-status-updated": {
    kind: "known",
    event: {
      kind: "status-announced",
      cardId: "6f33bffb-63b3-412e-9fc8-3e4c33f265bf",
      status: "CANCELLED",
      reason: " card test",
      changedAt: "2026-04-08T03:46:09.000000Z",
      facts: {
        card_number: "46651711****3173",
        available_balance: "500",
        card_currency: "USD",
      },
      order: {
        orderId: "027fd0b1-5334-4cb3-82c0-d40688142a51",
        happenedAt: "2026-04-08T03:46:09.000000Z",
        facts: { order_type: "status", order_status: "SUCCESS" },
      },
    },
  },
  "card.status.update.succeeded--sdk-go-issuing_test": {
    kind: "known",
    event: {
      kind: "status-announced",
      cardId: "a738d29b-3dd7-4fe4-9119-3a3024100f30",
      status: "BLOCKED",
      reason: "test",
      changedAt: "2026-01-26T07:29:59.000000Z",
      facts: { card_number: "49372418****4306" },
      order: {
        orderId: "c0aba11b-4b4f-4d3d-a7e1-9feb0211497c",
        happenedAt: "2026-01-26T07:29:59.000000Z",
        facts: { order_type: "status", order_status: "SUCCESS" },
      },
    },
  },
  "card.update.succeeded--docs-v1.6-webhook-card-updated": {
    kind: "known",
    event: {
      kind: "card-observed",
      cardId: "f5d1e60a-6852-4fea-bb09-1d5bdab657a0",
      status: "ACTIVE",
      facts: {
        card_number: "40963608****8664",
        card_bin: "40963608",
        card_scheme: "VISA",
        card_product_id: "467e993f-317a-49fc-9ea0-bf49de7d1f76",
        cardholder_id: "25ea804d-7fd5-43d5-8792-0fc0214cdb2f",
        card_currency: "USD",
        mode_type: "SHARE",
        form_factor: "VIRTUAL",
        card_limit: "1000",
        available_balance: "1000",
        spending_controls: [{ amount: "500", interval: "PER_TRANSACTION" }],
        allowed_mcc: [],
        blocked_mcc: ["6551", "5533"],
        risk_control: {
          enable_3ds: "Y",
          allow_3ds_transactions: "Y",
          blocked_mcc: ["6551", "5533"],
        },
        metadata: {},
      },
      order: {
        orderId: "9492771e-5247-49fe-9846-55719bd9dabb",

        facts: { order_type: "update", order_status: "SUCCESS" },
      },
    },
  },
  "card.update.succeeded--sdk-go-issuing_test": {
    kind: "known",
    event: {
      kind: "card-observed",
      cardId: "a738d29b-3dd7-4fe4-9119-3a3024100f30",
      status: "ACTIVE",
      facts: {
        card_number: "49372418****4306",
        card_bin: "49372418",
        card_scheme: "VISA",
        card_product_id: "5a9239b7-1618-41a5-989b-4a41fc2d4856",
        cardholder_id: "a88465b4-f9f2-45f6-bc28-ecadaad1062f",
        card_currency: "USD",
        mode_type: "SINGLE",
        form_factor: "VIRTUAL",
        card_limit: "0",
        available_balance: "9999",
        spending_controls: [{ amount: "3500", interval: "PER_TRANSACTION" }],
        allowed_mcc: [],
        blocked_mcc: [],
        risk_control: { allow_3ds_transactions: "N" },
        metadata: {},
      },
      order: {
        orderId: "e3c76528-8c3a-42c8-b1be-40bb16c6d9c0",

        facts: { order_type: "update", order_status: "SUCCESS" },
      },
    },
  },
  "card.verification.otp--docs-v1.6-webhook-verification-otp": {
    kind: "unhandled",
    isSensitive: true,
    cardId: "cc56949f-ef3f-4b11-ae88-3af6093fde0f",
  },
  "card.withdraw.succeeded--docs-v1.6-webhook-card-withdraw": {
    kind: "known",
    event: {
      kind: "card-observed",
      cardId: "88e8c3a8-1cd1-400e-a58c-d3e8bc9d3e00",
      status: "ACTIVE",
      observedAt: "2026-04-08T08:46:41.044000Z",
      facts: { card_currency: "USD", available_balance: "42" },
      order: {
        orderId: "9f88f593-9f56-4eba-ad81-4217d2d60021",
        happenedAt: "2026-04-08T08:46:41.044000Z",
        facts: {
          order_type: "withdraw",
          order_status: "SUCCESS",
          amount: "200",
          currency: "USD",
          completed_at: "2026-04-08T08:46:41.044000Z",
        },
      },
    },
  },
  "cardholder.kyc.status_changed--docs-v1.6-webhook": {
    kind: "known",
    isPersonal: true,
    event: {
      kind: "cardholder-reported",
      cardholderId: "811001d4-9862-4cc6-90d8-ebc829fcfd41",
      happenedAt: "2026-04-08T09:01:47.000000Z",
      isAnnounced: true,
      cardholder: { cardholder_status: "SUCCESS", idv_status: "PASSED" },
    },
  },
  "cardholder.updated--docs-v1.6-webhook": {
    kind: "known",
    isPersonal: true,
    event: {
      kind: "cardholder-reported",
      cardholderId: "25ea804d-7fd5-43d5-8792-0fc0214cdb2f",
      happenedAt: "2026-04-12T06:11:20.000000Z",
      isAnnounced: false,
      cardholder: { cardholder_status: "SUCCESS" },
    },
  },
  "issuing.fee.card--docs-v1.6-webhook-card-fee": {
    kind: "known",
    event: {
      kind: "transaction-reported",
      cardId: "2f04dc5c-16dd-401a-90c2-e74390f46692",
      transactionId: "241f91dc-e6cf-45cd-bbbe-9757da871932",
      transactionKind: "fee",
      happenedAt: "2026-04-11T10:23:03.000000Z",
      bookedAt: "2026-04-11T10:23:03.000000Z",
      facts: {
        card_number: "40963608****3820",
        cardholder_id: "3a1d3ce4-977b-4f1d-8076-8d2dd59e942c",
      },
      transaction: {
        cardholder_id: "3a1d3ce4-977b-4f1d-8076-8d2dd59e942c",
        transaction_type: "FEE",
        transaction_status: "APPROVED",
        transaction_amount: "5",
        transaction_currency: "USD",
        billing_amount: "5",
        billing_currency: "USD",
        card_available_balance: "45",
        reference_id: "241f91dc-e6cf-45cd-bbbe-9757da871932",
        remark: "deduct physical card [3820] maintenance fee 5 USD",
        transaction_time: "2026-04-11T10:23:03.000000Z",
        posted_time: "2026-04-11T10:23:03.000000Z",
      },
    },
  },
  "issuing.fee.card--sdk-go-issuing_test": {
    kind: "known",
    event: {
      kind: "transaction-reported",
      cardId: "a738d29b-3dd7-4fe4-9119-3a3024100f30",
      transactionId: "f2115314-78b8-414a-9b46-bf6f3c39fd38",
      transactionKind: "fee",
      happenedAt: "2026-01-26T07:24:06.000000Z",
      bookedAt: "2026-01-26T07:24:06.000000Z",
      facts: {
        card_number: "49372418****4306",
        cardholder_id: "a88465b4-f9f2-45f6-bc28-ecadaad1062f",
      },
      transaction: {
        cardholder_id: "a88465b4-f9f2-45f6-bc28-ecadaad1062f",
        transaction_type: "FEE",
        transaction_status: "APPROVED",
        transaction_amount: "1",
        transaction_currency: "USD",
        billing_amount: "1",
        billing_currency: "USD",
        card_available_balance: "9999",
        reference_id: "f2115314-78b8-414a-9b46-bf6f3c39fd38",
        remark: "deduct virtual card [4306] maintenance fee 1 USD",
        transaction_time: "2026-01-26T07:24:06.000000Z",
        posted_time: "2026-01-26T07:24:06.000000Z",
      },
    },
  },
  "issuing.report.created--docs-v1.6-webhook-report-created": {
    kind: "unhandled",
    isSensitive: true,
  },
  "issuing.transaction.authorization--docs-readme-mcc-controls-declined-truncated":
    {
      kind: "malformed",
      issues: [{ path: "data.transaction_status", message: "is required" }],
    },
  "issuing.transaction.authorization--docs-v1.6-spending-controls-mcc-declined":
    {
      kind: "known",
      event: {
        kind: "transaction-reported",
        cardId: "4e8f8c99-47e2-40a2-990d-c6f3e821a510",
        // Abbreviated by UQPAY: the envelope's source_id stands in for the id.
        transactionId: "07560ca4-5905-416f-a969-157094667d66",
        transactionKind: "authorization",
        receivedAt,
        facts: { card_number: "40963608****9191" },
        transaction: {
          transaction_type: "AUTHORIZATION",
          transaction_status: "DECLINED",
          description: "Forbid MCC from account",
          transaction_amount: "3",
          transaction_currency: "SGD",
          mcc: "5999",
          merchant_name: "ACQUIRER NAME",
          merchant_city: "CITY NAME",
          merchant_country: "US",
        },
      },
    },
  "issuing.transaction.authorization--docs-v1.6-webhook-transaction": {
    kind: "known",
    event: {
      kind: "transaction-reported",
      cardId: "50418faa-57a8-4ce2-9157-621b00b13a3b",
      transactionId: "1a53aebf-900c-4e25-9852-b98f4338d94c",
      transactionKind: "authorization",
      happenedAt: "2026-04-12T07:27:39.480000Z",
      bookedAt: "2026-04-12T07:27:39.563000Z",
      receivedAt,
      facts: {
        card_number: "40963608****1764",
        cardholder_id: "25ea804d-7fd5-43d5-8792-0fc0214cdb2f",
      },
      transaction: {
        short_transaction_id: "T260412-2AHV51KO5U68",
        card_available_balance: "988.5",
        fee_pass_through: "Y",
        cardholder_id: "25ea804d-7fd5-43d5-8792-0fc0214cdb2f",
        transaction_type: "AUTHORIZATION",
        transaction_status: "APPROVED",
        transaction_amount: "10",
        transaction_currency: "USD",
        billing_amount: "11.5",
        billing_currency: "USD",
        transaction_fee: "1.5",
        transaction_fee_currency: "USD",
        authorization_code: "W6MJU9",
        mcc: "5734",
        merchant_name: "Test Merchant",
        transaction_time: "2026-04-12T07:27:39.480000Z",
        posted_time: "2026-04-12T07:27:39.563000Z",
      },
    },
  },
};

describe("the payloads that UQPAY published", () => {
  test("each of them is described here", () => {
    expect(Object.keys(meanings).toSorted()).toEqual(payloadNames().toSorted());
  });

  test.each(Object.entries(meanings))(
    "%s means what was read out of it",
    (name, meaning) => {
      const delivered = payload(name);

      const decoded = decodeEvent(compactBytes(name), { signedAt, receivedAt });

      expect(decoded).toEqual(expected(name, delivered, meaning));
      const isAsSigned = !("isRedacted" in decoded) || !decoded.isRedacted;
      expect(isAsSigned || decoded.isSensitive || isPersonal(meaning)).toBe(
        true,
      );
    },
  );

  test.each(payloadNames())(
    "%s means the same with the white space of its file, and its text is kept as it came",
    (name) => {
      const compact = decodeEvent(compactBytes(name), { signedAt, receivedAt });

      const asInFile = decodeEvent(fileBytes(name), { signedAt, receivedAt });

      // Of a sensitive one no text is kept, so what stands here does not matter.
      const textOf = (decoded: Decoded) =>
        "text" in decoded && !decoded.isSensitive ? decoded.text : "";
      const asRead = compact.isSensitive || isPersonal(meanings[name]);
      const text = asRead ? textOf(compact) : fileBytes(name).toString("utf8");
      expect({ ...asInFile, text: textOf(asInFile) }).toEqual({
        ...compact,
        text,
      });
    },
  );
});

function expected(
  name: string,
  delivered: ReturnType<typeof payload>,
  meaning: Meaning,
): Decoded {
  const text = compactBytes(name).toString("utf8");
  const { event_id: eventId, event_type: eventType } = delivered;
  const asSigned = { text, isRedacted: false, isSensitive: false } as const;
  if (meaning.kind === "malformed") {
    const cardId = delivered.data["card_id"] as string | undefined;
    return { ...meaning, ...asSigned, eventId, eventType, cardId };
  }
  const envelope = {
    eventId,
    eventType,
    eventName: "ISSUING",
    version: delivered.version,
    sourceId: delivered.source_id,
  };
  if (meaning.kind === "unhandled") {
    const { isSensitive = false, cardId } = meaning;
    if (isSensitive)
      return expect.objectContaining({
        kind: "unhandled",
        isSensitive,
        cardId,
        unreadable: [],
      }) as never;
    return {
      kind: "unhandled",
      ...asSigned,
      isSensitive,
      cardId,
      envelope,
      unreadable: [],
    };
  }
  const event = { eventId, signedAt, receivedAt, ...meaning.event } as never;
  const cardId = meaning.event["cardId"] as string;
  const isPersonal = meaning.isPersonal === true;
  return {
    kind: "known",
    ...(isPersonal ? { ...asSigned, ...withoutPerson(delivered) } : asSigned),
    isPersonal,
    cardId,
    envelope,
    event,
    unreadable: [],
  };
}

function isPersonal(meaning: Meaning | undefined): boolean {
  return meaning?.kind === "known" && meaning.isPersonal === true;
}

/** What waits of an event about a cardholder. */
function withoutPerson(delivered: ReturnType<typeof payload>) {
  const { cardholder_id, cardholder_status, idv_status, update_time } =
    delivered.data;
  const data = { cardholder_id, cardholder_status, idv_status, update_time };
  const { version, event_name, event_type, event_id, source_id } = delivered;
  const kept = { version, event_name, event_type, event_id, source_id, data };
  return { text: JSON.stringify(kept), isRedacted: true };
}

describe("the forms that only UQPAY's REST answers show", () => {
  test("a card with numbers, plural risk controls and a null list reads like a webhook's", () => {
    const card = payload("rest/retrieve-card--docs-v1.6");
    const body = JSON.stringify({
      event_id: "e1",
      event_type: "card.update.succeeded",
      data: card,
    });

    const decoded = decodeEvent(Buffer.from(body), { signedAt, receivedAt });

    expect(decoded).toMatchObject({
      kind: "known",
      event: {
        cardId: "c0cef051-29c5-4796-b86a-cd5b684bfad7",
        status: "ACTIVE",
        facts: {
          card_number: "************5668",
          cardholder_id: "7c4ff2cd-1bf6-4aaa-bf16-266771425011",
          card_limit: "2100.02",
          available_balance: "2000.05",
          no_pin_payment_amount: "2000",
          spending_controls: [
            { amount: "100.03", interval: "PER_TRANSACTION" },
          ],
          allowed_mcc: [],
          blocked_mcc: ["5999", "6011"],
          risk_control: {
            allow_3ds_transactions: "Y",
            allowed_mcc: null,
            blocked_mcc: ["5999", "6011"],
          },
          metadata: { key1: "value1", key2: "value2" },
        },
      },
    });
  });

  test("a transaction with numbers and one merchant instead of a list reads like a webhook's", () => {
    const transaction = payload("rest/retrieve-cards-transaction--docs-v1.6");
    const body = JSON.stringify({
      event_id: "e1",
      event_type: "issuing.transaction.authorization",
      data: transaction,
    });

    const decoded = decodeEvent(Buffer.from(body), { signedAt, receivedAt });

    expect(decoded).toMatchObject({
      kind: "known",
      event: {
        transactionId: "5135e6cc-28b6-4889-81dc-3b86a09e1395",
        happenedAt: "2024-03-21T09:17:32.000000Z",
        transaction: {
          card_available_balance: "2506.26",
          original_transaction_id: "1234e6cc-28b6-4889-81dc-3b86a09e1395",
          transaction_status: "DECLINED",
          description: "1107 - Invalid CVV2",
          transaction_fee: "0.25",
          authorization_code: "856268",
          mcc: "6011",
          merchant_name: "ACQUIRER NAME",
          wallet_type: "ApplePay",
        },
      },
    });
  });
});
