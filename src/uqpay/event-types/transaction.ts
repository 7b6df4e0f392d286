import type { TransactionReported } from "../../domain/card-event.ts";
import { FEE_KINDS, TRANSACTION_KINDS } from "../../domain/counted-kinds.ts";
import type { ValuesOf } from "../fields.ts";
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
import type { EventContext, EventType } from "./event-type.ts";
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

/** What may be said of a transaction besides its card and its status, by the names of the wire. */
const transactionFields = {
  transaction_id: optional(readId),
  account_id: optional(readId),
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
  fee_pass_through: optional(readWord),
  authorization_code: optional(readWord),
  original_transaction_id: optional(readId),
  short_transaction_id: optional(readWord),
  reference_id: optional(readWord),
  remark: optional(readText),
  wallet_type: optional(readWord),
  merchant_data: optional(readMerchantData),
  transaction_time: optional(readInstantOrUnset),
  posted_time: optional(readInstantOrUnset),
};

interface About {
  readonly cardId: string | undefined;
  readonly kind: string;
  readonly status: string;
}

/** UQPAY has one form for all transactions, and shows it for the authorization alone. */
function report(
  data: ValuesOf<typeof transactionFields>,
  { cardId, kind, status }: About,
  { origin, sourceId }: EventContext,
): TransactionReported {
  return {
    kind: "transaction-reported",
    ...origin,
    cardId,
    // Fees and abbreviated samples have no transaction_id; the envelope's source_id is the same id there.
    transactionId: data.transaction_id ?? sourceId ?? origin.eventId,
    transactionKind: kind,
    happenedAt: data.transaction_time ?? data.posted_time,
    bookedAt: data.posted_time ?? data.transaction_time,
    facts: {
      card_number: data.card_number,
      cardholder_id: data.cardholder_id,
    },
    transaction: {
      transaction_status: status,
      transaction_type: data.transaction_type,
      account_id: data.account_id,
      cardholder_id: data.cardholder_id,
      card_available_balance: data.card_available_balance,
      description: data.description,
      transaction_amount: data.transaction_amount,
      transaction_currency: data.transaction_currency,
      billing_amount: data.billing_amount,
      billing_currency: data.billing_currency,
      transaction_fee: data.transaction_fee,
      transaction_fee_currency: data.transaction_fee_currency,
      fee_pass_through: data.fee_pass_through,
      authorization_code: data.authorization_code,
      original_transaction_id: data.original_transaction_id,
      short_transaction_id: data.short_transaction_id,
      reference_id: data.reference_id,
      remark: data.remark,
      wallet_type: data.wallet_type,
      transaction_time: data.transaction_time,
      posted_time: data.posted_time,
      mcc: data.merchant_data?.category_code,
      merchant_name: data.merchant_data?.name,
      merchant_city: data.merchant_data?.city,
      merchant_country: data.merchant_data?.country,
    },
  };
}

/** Approved, declined or pending, although UQPAY's page says "approved" of an authorization: the status in it tells. */
function transactionOfCard(name: string, kind: string): EventType {
  const fields = {
    ...transactionFields,
    card_id: required(readId),
    transaction_status: required(readStatus),
  };
  return eventType(name, fields, (data, context) => {
    const { card_id: cardId, transaction_status: status } = data;
    return report(data, { cardId, kind, status }, context);
  });
}

const FAMILY = "issuing.transaction.";
const PROTECTION = "card.risk_control.network_protection.";

/** UQPAY's page lists those of the family (card issuance v1.6, transaction webhook). */
export const transactions: readonly EventType[] = [
  ...TRANSACTION_KINDS.map((kind) => transactionOfCard(FAMILY + kind, kind)),
  transactionOfCard("issuing.fee.card", FEE_KINDS.card),
  transactionOfCard(`${PROTECTION}enrollment_fee.charged`, FEE_KINDS.network),
  eventType(
    `${PROTECTION}maintenance_fee.charged`,
    // The account pays it for all of its cards.
    {
      ...transactionFields,
      card_id: optional(readId),
      transaction_status: required(readStatus),
    },
    (data, context) => {
      const { card_id: cardId, transaction_status: status } = data;
      const kind = FEE_KINDS.network;
      return report(data, { cardId, kind, status }, context);
    },
  ),
];

/**
 * Names of the family that no page lists, or lists without a transaction in it (`not.supported`): what tells of a status
 * is a transaction of that kind, and no field must be there.
 */
export const otherTransaction = eventType(
  `${FAMILY}*`,
  {
    ...transactionFields,
    card_id: optional(readId),
    transaction_status: optional(readStatus),
  },
  (data, context) => {
    const { card_id: cardId, transaction_status: status } = data;
    if (status === undefined) return undefined;
    const kind = context.eventType.slice(FAMILY.length);
    return report(data, { cardId, kind, status }, context);
  },
);

export function isTransactionType(name: string): boolean {
  return name.startsWith(FAMILY) && name.length > FAMILY.length;
}
