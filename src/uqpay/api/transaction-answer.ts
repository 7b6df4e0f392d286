import type { Facts } from "../../domain/card-event.ts";
import type { Instant } from "../../domain/instant.ts";
import type { Issue } from "../fields.ts";
import {
  objectOf,
  optional,
  readAmount,
  readId,
  readInstantOrUnset,
  readMcc,
  readStatus,
  readText,
  readWord,
  required,
} from "../fields.ts";
import { readAnswer } from "./read-answer.ts";

/** A transaction as an answer of UQPAY's API shows it. What is undefined is not stated. */
export interface TransactionReading {
  readonly transactionId: string;
  readonly cardId: string | undefined;
  /** `AUTHORIZATION`, `SETTLEMENT DEBIT`, …: with blanks, in capitals. */
  readonly transactionType: string | undefined;
  /** When it happened by UQPAY's word: transaction time, else posted time. */
  readonly happenedAt: Instant | undefined;
  /** Columns of a transaction's row. The card's balance in it is not among them: transactions that are read feed none. */
  readonly transaction: Facts;
  /** UNKNOWN, UNSETTLED, SETTLED (in part, too), NOT_APPLICABLE; in no list. */
  readonly settlementStatus: string | undefined;
  /** Fields that could not be read: they count as not stated. */
  readonly unreadable: readonly Issue[];
}

const readMerchant = objectOf({
  category_code: readMcc,
  name: readText,
  city: readText,
  country: readText,
});

const fields = {
  transaction_id: required(readId),
  card_id: optional(readId),
  cardholder_id: optional(readId),
  short_transaction_id: optional(readWord),
  original_transaction_id: optional(readId),
  reference_id: optional(readWord),
  remark: optional(readText),
  transaction_type: optional(readStatus),
  transaction_status: optional(readStatus),
  settlement_status: optional(readStatus),
  description: optional(readText),
  transaction_amount: optional(readAmount),
  transaction_currency: optional(readWord),
  billing_amount: optional(readAmount),
  billing_currency: optional(readWord),
  transaction_fee: optional(readAmount),
  transaction_fee_currency: optional(readWord),
  fee_pass_through: optional(readWord),
  authorization_code: optional(readWord),
  wallet_type: optional(readWord),
  merchant_data: optional(readMerchant),
  transaction_time: optional(readInstantOrUnset),
  posted_time: optional(readInstantOrUnset),
};

/** @throws Unreadable where it has no id */
export function readTransaction(json: unknown): TransactionReading {
  const { values, unreadable } = readAnswer(fields, json);
  const {
    transaction_id,
    card_id,
    merchant_data,
    settlement_status,
    ...transaction
  } = values;
  return {
    transactionId: transaction_id,
    cardId: card_id,
    transactionType: values.transaction_type,
    happenedAt: values.transaction_time ?? values.posted_time,
    transaction: {
      ...transaction,
      mcc: merchant_data?.category_code,
      merchant_name: merchant_data?.name,
      merchant_city: merchant_data?.city,
      merchant_country: merchant_data?.country,
    },
    settlementStatus: settlement_status,
    unreadable,
  };
}
