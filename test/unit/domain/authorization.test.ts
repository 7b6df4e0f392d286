import { describe, expect, test } from "@jest/globals";
import { applyToAuthorization } from "../../../src/domain/authorization.ts";
import type { AuthorizationReported } from "../../../src/domain/card-event.ts";
import { toRow } from "../../../src/store/authorizations.ts";
import {
  anAuthorizationReported,
  at,
  authorizationAfter,
  ordersOf,
} from "../../support/events.ts";

/** The row that these events give; fails when their order matters. */
function rowAfter(...events: readonly AuthorizationReported[]) {
  const rows = ordersOf(events).map((order) =>
    toRow(authorizationAfter(...order)),
  );
  const [row] = rows;
  for (const other of rows) expect(other).toEqual(row);
  if (row === undefined) throw new Error("no order");
  return row;
}

function reported(
  eventId: string,
  time: string,
  fields: Partial<AuthorizationReported["fields"]>,
): AuthorizationReported {
  return anAuthorizationReported({
    eventId,
    happenedAt: at(time),
    fields,
  });
}

describe("an authorization", () => {
  test("is what its only event says", () => {
    const row = rowAfter(
      anAuthorizationReported({
        happenedAt: at("10:00:00.48"),
        receivedAt: at("10:00:05"),
        fields: {
          cardholderId: "holder-1",
          transactionType: "AUTHORIZATION",
          transactionStatus: "DECLINED",
          description: "Forbid MCC from account",
          transactionAmount: "3.00",
          transactionCurrency: "SGD",
          billingAmount: "0",
          billingCurrency: "SGD",
          transactionFee: "0.5",
          transactionFeeCurrency: "USD",
          authorizationCode: "W6MJU9",
          originalTransactionId: "transaction-0",
          walletType: "ApplePay",
          mcc: "5999",
          merchantName: "ACQUIRER NAME",
          merchantCity: "CITY NAME",
          merchantCountry: "US",
          transactionTime: at("10:00:00.48"),
          postedTime: at("10:00:00.563"),
        },
      }),
    );

    expect(row).toEqual({
      transaction_id: "transaction-1",
      event_id: "event-1",
      card_id: "card-1",
      cardholder_id: "holder-1",
      transaction_type: "AUTHORIZATION",
      transaction_status: "DECLINED",
      description: "Forbid MCC from account",
      transaction_amount: "3.00",
      transaction_currency: "SGD",
      billing_amount: "0",
      billing_currency: "SGD",
      transaction_fee: "0.5",
      transaction_fee_currency: "USD",
      authorization_code: "W6MJU9",
      original_transaction_id: "transaction-0",
      wallet_type: "ApplePay",
      mcc: "5999",
      merchant_name: "ACQUIRER NAME",
      merchant_city: "CITY NAME",
      merchant_country: "US",
      transaction_time: at("10:00:00.48"),
      posted_time: at("10:00:00.563"),
      decline_category: "mcc",
      mcc_declined: true,
      received_at: at("10:00:05"),
      field_clocks: [`${at("10:00:00.48")} ${at("10:00:00.48")} 1 0 * event-1`],
    });
  });

  test.each(["APPROVED", "DECLINED", "REVERSED", "SOMETHING_NEW"])(
    "an outcome (%s) is not taken back by a PENDING that is dated later",
    (outcome) => {
      const row = rowAfter(
        reported("a", "10:00:00", {
          transactionStatus: outcome,
          description: "the outcome",
          billingAmount: "11.5",
        }),
        reported("b", "11:00:00", {
          transactionStatus: "PENDING",
          description: "waiting",
          billingAmount: "0",
        }),
      );

      expect(row).toMatchObject({
        transaction_status: outcome,
        description: "the outcome",
        billing_amount: "11.5",
        event_id: "a",
      });
    },
  );

  test("a late PENDING still tells what the outcome does not", () => {
    const row = rowAfter(
      reported("a", "10:00:00", { transactionStatus: "APPROVED" }),
      reported("b", "11:00:00", {
        transactionStatus: "PENDING",
        merchantName: "A shop",
      }),
    );

    expect(row).toMatchObject({
      transaction_status: "APPROVED",
      merchant_name: "A shop",
    });
  });

  test("a description survives a later event that has none", () => {
    const row = rowAfter(
      reported("a", "10:00:00", {
        transactionStatus: "DECLINED",
        description: "Forbid MCC from account",
      }),
      reported("b", "11:00:00", {
        transactionStatus: "DECLINED",
        description: undefined,
      }),
    );

    expect(row).toMatchObject({
      description: "Forbid MCC from account",
      mcc_declined: true,
      event_id: "b",
    });
  });

  test("of two outcomes the later one counts", () => {
    const row = rowAfter(
      reported("a", "10:00:00", {
        transactionStatus: "DECLINED",
        description: "Forbid MCC from account",
      }),
      reported("b", "11:00:00", {
        transactionStatus: "APPROVED",
        description: "1000 - Authorization Approval",
      }),
    );

    expect(row).toMatchObject({
      transaction_status: "APPROVED",
      decline_category: null,
      mcc_declined: false,
    });
  });

  test("of one second the later signed one counts, then the greater id", () => {
    const happenedAt = at("10:00:00");
    const signed = (eventId: string, time: string, walletType: string) =>
      anAuthorizationReported({
        eventId,
        happenedAt,
        signedAt: at(time),
        fields: { walletType },
      });

    const bySigning = rowAfter(
      signed("b", "10:00:01", "first"),
      signed("a", "10:00:02", "second"),
    );
    const byId = rowAfter(
      signed("\ue000", "10:00:01", "first"),
      signed("\u{1f4b3}", "10:00:01", "second"),
    );

    expect([bySigning.wallet_type, byId.wallet_type]).toEqual([
      "second",
      "second",
    ]);
  });

  test("without a time of its own is dated by its signing", () => {
    const row = rowAfter(
      anAuthorizationReported({
        eventId: "a",
        happenedAt: undefined,
        signedAt: at("12:00:00"),
        fields: { transactionStatus: "DECLINED" },
      }),
      reported("b", "11:00:00", { transactionStatus: "APPROVED" }),
    );

    expect(row.transaction_status).toBe("DECLINED");
  });

  test("was received when the first event about it was", () => {
    const row = rowAfter(
      anAuthorizationReported({ eventId: "a", receivedAt: at("12:00:00") }),
      anAuthorizationReported({ eventId: "b", receivedAt: at("11:00:00") }),
    );

    expect(row.received_at).toBe(at("11:00:00"));
  });

  test("an event that came before leaves the very same authorization", () => {
    const event = anAuthorizationReported();
    const authorization = authorizationAfter(event);

    expect(applyToAuthorization(authorization, event)).toBe(authorization);
  });

  test("an event that was received earlier and knows nothing else changes only that", () => {
    const known = authorizationAfter(
      anAuthorizationReported({ receivedAt: at("12:00:00") }),
    );

    const changed = applyToAuthorization(
      known,
      anAuthorizationReported({ receivedAt: at("11:00:00") }),
    );

    expect(changed).toEqual({ ...known, receivedAt: at("11:00:00") });
  });
});
