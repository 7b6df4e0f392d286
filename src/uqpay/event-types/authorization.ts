import {
  listOf,
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
import { eventType } from "./event-type.ts";

const NO_MERCHANT = "must be an object or a list of objects";

/** A transaction has one merchant; why it comes as a list, no page says. */
const MOST_MERCHANTS = 100;

const readMerchant = objectOf(
  {
    category_code: readMcc,
    name: readText,
    city: readText,
    country: readText,
  },
  NO_MERCHANT,
);
const readMerchants = listOf(readMerchant, MOST_MERCHANTS, NO_MERCHANT);

/** A list in webhooks, of which the first one counts; an object in REST answers and in the SDKs' types. */
function readMerchantData(input: unknown) {
  return Array.isArray(input) ? readMerchants(input)[0] : readMerchant(input);
}

/** Approved, declined or pending, although UQPAY's page says "approved": the status in it tells. */
export const authorization = eventType(
  "issuing.transaction.authorization",
  {
    card_id: required(readId),
    transaction_status: required(readStatus),
    transaction_id: optional(readId),
    card_number: optional(readWord),
    cardholder_id: optional(readId),
    card_available_balance: optional(readAmount),
    transaction_type: optional(readWord),
    description: optional(readText),
    transaction_amount: optional(readAmount),
    transaction_currency: optional(readWord),
    billing_amount: optional(readAmount),
    billing_currency: optional(readWord),
    transaction_fee: optional(readAmount),
    transaction_fee_currency: optional(readWord),
    authorization_code: optional(readWord),
    original_transaction_id: optional(readId),
    wallet_type: optional(readWord),
    merchant_data: optional(readMerchantData),
    transaction_time: optional(readInstantOrUnset),
    posted_time: optional(readInstantOrUnset),
  },
  (data, { origin, sourceId }) => ({
    kind: "authorization-reported",
    ...origin,
    cardId: data.card_id,
    // Abbreviated samples have no transaction_id; the envelope's source_id is the same id there.
    transactionId: data.transaction_id ?? sourceId ?? origin.eventId,
    happenedAt: data.transaction_time ?? data.posted_time,
    facts: {
      card_number: data.card_number,
      cardholder_id: data.cardholder_id,
      available_balance: data.card_available_balance,
    },
    transaction: {
      transaction_status: data.transaction_status,
      transaction_type: data.transaction_type,
      cardholder_id: data.cardholder_id,
      description: data.description,
      transaction_amount: data.transaction_amount,
      transaction_currency: data.transaction_currency,
      billing_amount: data.billing_amount,
      billing_currency: data.billing_currency,
      transaction_fee: data.transaction_fee,
      transaction_fee_currency: data.transaction_fee_currency,
      authorization_code: data.authorization_code,
      original_transaction_id: data.original_transaction_id,
      wallet_type: data.wallet_type,
      transaction_time: data.transaction_time,
      posted_time: data.posted_time,
      mcc: data.merchant_data?.category_code,
      merchant_name: data.merchant_data?.name,
      merchant_city: data.merchant_data?.city,
      merchant_country: data.merchant_data?.country,
    },
  }),
);
