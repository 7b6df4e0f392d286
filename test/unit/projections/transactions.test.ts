import { describe, expect, test } from "@jest/globals";
import type { TransactionReported } from "../../../src/domain/card-event.ts";
import { transactions } from "../../../src/projections/transactions.ts";
import {
  aTransactionReported,
  at,
  transactionAfter,
  knownAfter,
  rowAfter as rowOfEvents,
  rowsAfter,
} from "../../support/events.ts";

function rowAfter(...events: readonly TransactionReported[]) {
  return rowOfEvents(transactions, events);
}

function reported(
  eventId: string,
  time: string,
  transaction: TransactionReported["transaction"],
): TransactionReported {
  return aTransactionReported({
    eventId,
    happenedAt: at(time),
    transaction,
  });
}

describe("an authorization", () => {
  test("is what its only event says", () => {
    const row = rowAfter(
      aTransactionReported({
        happenedAt: at("10:00:00.48"),
        receivedAt: at("10:00:05"),
        transaction: {
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
          short_transaction_id: "T-1",
          reference_id: "ledger-1",
          remark: "a remark",
          fee_pass_through: "Y",
          wallet_type: "ApplePay",
          card_available_balance: "-0.01",
          mcc: "5999",
          merchant_name: "ACQUIRER NAME",
          merchant_city: "CITY NAME",
          merchant_country: "US",
          transaction_time: at("10:00:00.48"),
          posted_time: at("10:00:00.563"),
        },
      }),
    );

    expect(row).toEqual({
      transaction_id: "transaction-1",
      kind: "authorization",
      event_id: "event-1",
      card_id: "card-1",
      account_id: null,
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
      short_transaction_id: "T-1",
      reference_id: "ledger-1",
      remark: "a remark",
      fee_pass_through: "Y",
      wallet_type: "ApplePay",
      card_available_balance: "-0.01",
      mcc: "5999",
      merchant_name: "ACQUIRER NAME",
      merchant_city: "CITY NAME",
      merchant_country: "US",
      transaction_time: at("10:00:00.48"),
      posted_time: at("10:00:00.563"),
      decline_category: "mcc",
      mcc_declined: true,
      received_at: at("10:00:05"),
      field_clocks: expect.objectContaining({
        transaction_status: {
          event_id: "event-1",
          at: at("10:00:00.48"),
          signed_at: at("10:00:00.48"),
          finality: 1,
        },
      }) as unknown,
    });
  });

  test.each(["APPROVED", "DECLINED", "REVERSED", "SOMETHING_NEW"])(
    "an outcome (%s) is not taken back by a PENDING that is dated later",
    (outcome) => {
      const row = rowAfter(
        reported("a", "10:00:00", {
          transaction_status: outcome,
          description: "the outcome",
          billing_amount: "11.5",
        }),
        reported("b", "11:00:00", {
          transaction_status: "PENDING",
          description: "waiting",
          billing_amount: "0",
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
      reported("a", "10:00:00", { transaction_status: "APPROVED" }),
      reported("b", "11:00:00", {
        transaction_status: "PENDING",
        merchant_name: "A shop",
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
        transaction_status: "DECLINED",
        description: "Forbid MCC from account",
      }),
      reported("b", "11:00:00", {
        transaction_status: "DECLINED",
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
        transaction_status: "DECLINED",
        description: "Forbid MCC from account",
      }),
      reported("b", "11:00:00", {
        transaction_status: "APPROVED",
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
    const signed = (eventId: string, time: string, wallet: string) =>
      aTransactionReported({
        eventId,
        happenedAt,
        signedAt: at(time),
        transaction: { wallet_type: wallet },
      });

    const bySigning = rowAfter(
      signed("b", "10:00:01", "first"),
      signed("a", "10:00:02", "second"),
    );
    const byId = rowAfter(
      signed("\ue000", "10:00:01", "first"),
      signed("\u{1f4b3}", "10:00:01", "second"),
    );

    expect([bySigning["wallet_type"], byId["wallet_type"]]).toEqual([
      "second",
      "second",
    ]);
  });

  test("without a time of its own is dated by its signing", () => {
    const row = rowAfter(
      aTransactionReported({
        eventId: "a",
        happenedAt: undefined,
        signedAt: at("12:00:00"),
        transaction: { transaction_status: "DECLINED" },
      }),
      reported("b", "11:00:00", { transaction_status: "APPROVED" }),
    );

    expect(row["transaction_status"]).toBe("DECLINED");
  });

  test("was received when the first event about it was", () => {
    const row = rowAfter(
      aTransactionReported({ eventId: "a", receivedAt: at("12:00:00") }),
      aTransactionReported({ eventId: "b", receivedAt: at("11:00:00") }),
    );

    expect(row["received_at"]).toBe(at("11:00:00"));
  });

  test("and what became of it are rows of their own, whichever comes first", () => {
    const authorized = aTransactionReported({ eventId: "a" });
    const refunded = aTransactionReported({
      eventId: "b",
      transactionKind: "refund",
      transaction: {
        transaction_status: "DECLINED",
        description: "Forbid MCC from account",
      },
    });

    const rows = rowsAfter(transactions, [refunded, authorized]);

    expect(rows).toEqual(rowsAfter(transactions, [authorized, refunded]));
    expect([...rows.values()]).toMatchObject([
      { kind: "refund", event_id: "b", decline_category: null },
      { kind: "authorization", event_id: "a" },
    ]);
  });

  test("an event that came before leaves the very same authorization", () => {
    const event = aTransactionReported();
    const authorization = transactionAfter(event);

    expect(knownAfter(transactions, [event], authorization)).toBe(
      authorization,
    );
  });

  test("an event that was received earlier and knows nothing else changes only that", () => {
    const known = transactionAfter(
      aTransactionReported({ receivedAt: at("12:00:00") }),
    );

    const changed = knownAfter(
      transactions,
      [aTransactionReported({ receivedAt: at("11:00:00") })],
      known,
    );

    const { received_at: received } = known.registers;
    expect(changed).toEqual({
      ...known,
      registers: {
        ...known.registers,
        received_at: { ...received, value: at("11:00:00") },
      },
    });
  });
});
