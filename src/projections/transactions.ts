import type { TransactionReported } from "../domain/card-event.ts";
import { clockOf } from "../domain/clock.ts";
import type { DeclineJudgement } from "../domain/mcc-decline.ts";
import { judgeDecline } from "../domain/mcc-decline.ts";
import type { Registers } from "../domain/registers.ts";
import { statedAt } from "../domain/registers.ts";
import type { Projection } from "./projection.ts";
import {
  bookkeeping,
  derived,
  earliest,
  key,
  latest,
  required,
} from "./projection.ts";

/** What all events so far say of each kind of each transaction: its outcome, and whether a rule about MCCs declined it. */
export const transactions: Projection = {
  table: "transactions",
  subject: "transaction",
  columns: {
    transaction_id: key("text"),
    kind: key("text"),
    event_id: bookkeeping(required(latest("text"))),
    card_id: bookkeeping(latest("text")),
    account_id: latest("text"),
    cardholder_id: latest("text"),
    transaction_type: latest("text"),
    transaction_status: required(latest("text")),
    description: latest("text"),
    transaction_amount: latest("numeric"),
    transaction_currency: latest("text"),
    billing_amount: latest("numeric"),
    billing_currency: latest("text"),
    transaction_fee: latest("numeric"),
    transaction_fee_currency: latest("text"),
    authorization_code: latest("text"),
    original_transaction_id: latest("text"),
    short_transaction_id: latest("text"),
    reference_id: latest("text"),
    remark: latest("text"),
    fee_pass_through: latest("text"),
    wallet_type: latest("text"),
    card_available_balance: latest("numeric"),
    mcc: latest("text"),
    merchant_name: latest("text"),
    merchant_city: latest("text"),
    merchant_country: latest("text"),
    transaction_time: latest("timestamptz"),
    posted_time: latest("timestamptz"),
    decline_category: derived("text", (row, key) => judge(row, key).category),
    mcc_declined: derived("boolean", (row, key) => judge(row, key).mccDeclined),
    received_at: bookkeeping(required(earliest("receipt"))),
  },
  statementsIn: (event) => {
    if (event.kind !== "transaction-reported") return [];
    const { transactionId, transactionKind } = event;
    return [
      { key: [transactionId, transactionKind], registers: registersIn(event) },
    ];
  },
};

/**
 * An outcome replaces PENDING, however late the PENDING comes. The finality covers all fields of the event
 * and not only the status: a late PENDING must not take back the outcome's description or amounts either.
 */
function registersIn(event: TransactionReported): Registers {
  const { eventId, cardId, receivedAt, transaction } = event;
  const finality = transaction["transaction_status"] === "PENDING" ? 0 : 1;
  const clock = { ...clockOf(event, event.happenedAt), finality };
  return {
    ...statedAt(clock, { event_id: eventId, card_id: cardId, ...transaction }),
    ...statedAt(clockOf(event), { received_at: receivedAt }),
  };
}

/** Only an authorization is declined by a rule of the card: of a refund the words would speak of something else. */
function judge(
  { transaction_status: status, description }: Registers,
  [, kind]: readonly string[],
): DeclineJudgement {
  if (kind !== "authorization") return NOT_JUDGED;
  return judgeDecline({
    transaction_status: status?.value,
    description: description?.value,
  });
}

const NOT_JUDGED: DeclineJudgement = {
  category: undefined,
  mccDeclined: false,
};
