import type { Card, Merchant, Order, Transaction } from "./cards.ts";
import { fromCents } from "./cards.ts";

/*
 * How UQPAY writes what it keeps: in webhooks and in answers of its API, which differ. By the examples of its pages and
 * SDKs (test/fixtures); of a reversal, a refund and a settlement there is none, and the SDKs type them as an authorization.
 */

type Json = Readonly<Record<string, unknown>>;

const CHINA_MS = 8 * 3_600_000;

/** UQPAY's times have the offset of Singapore: `2026-04-12T15:27:39+08:00`. */
export function toSecond(atMs: number): string {
  return `${new Date(atMs + CHINA_MS).toISOString().slice(0, 19)}+08:00`;
}

function toMillisecond(atMs: number): string {
  return `${new Date(atMs + CHINA_MS).toISOString().slice(0, 23)}+08:00`;
}

export function createdData(card: Card): Json {
  return {
    card_available_balance: fromCents(card.balance),
    ...commonOf(card),
    cardholder: holderOf(card),
    metadata: card.metadata,
    risk_control: riskControlOf(card),
    spending_limits: spendingControlsOf(card),
  };
}

export function updatedData(card: Card, order: Order): Json {
  return {
    available_balance: fromCents(card.balance),
    ...commonOf(card),
    card_currency: card.currency,
    card_limit: fromCents(card.limit),
    card_order_id: order.id,
    cardholder: {
      ...holderOf(card),
      date_of_birth: "0001-01-01",
      number_of_cards: 1,
      phone_number: "87654321",
    },
    metadata: card.metadata,
    no_pin_payment_amount: card.currency,
    order_status: "success",
    risk_control: riskControlOf(card),
    spending_controls: spendingControlsOf(card),
  };
}

function commonOf(card: Card): Json {
  return {
    card_bin: card.bin,
    card_id: card.id,
    card_number: card.number,
    card_product_id: card.productId,
    card_scheme: "VISA",
    card_status: card.status,
    form_factor: card.form,
    mode_type: card.mode,
  };
}

function holderOf({ holder, createdAtMs }: Card): Json {
  return {
    cardholder_id: holder.id,
    cardholder_status: "SUCCESS",
    create_time: toSecond(createdAtMs),
    email: holder.email,
    first_name: holder.firstName,
    last_name: holder.lastName,
  };
}

function riskControlOf({ allowedMcc, blockedMcc }: Card): Json {
  return {
    allow_3ds_transactions: "Y",
    ...(allowedMcc !== undefined && { allowed_mcc: allowedMcc }),
    ...(blockedMcc !== undefined && { blocked_mcc: blockedMcc }),
  };
}

function spendingControlsOf({ perTransaction }: Card): Json[] {
  return [{ amount: fromCents(perTransaction), interval: "PER_TRANSACTION" }];
}

export function statusData(card: Card, atMs: number): Json {
  return {
    card_id: card.id,
    card_number: card.number,
    available_balance: fromCents(card.balance),
    currency: card.currency,
    card_status: card.status,
    update_reason: card.statusReason ?? "",
    update_time: toSecond(atMs),
  };
}

export function activatedData(card: Card): Json {
  return {
    activation_status: "Activated",
    card_id: card.id,
    card_number: card.number,
  };
}

/** Of a recharge and a withdrawal. */
export function movedData(card: Card, order: Order): Json {
  return {
    amount: fromCents(order.amount ?? 0),
    card_available_balance: fromCents(card.balance),
    card_currency: card.currency,
    card_id: card.id,
    card_status: card.status,
    complete_time: toMillisecond(order.atMs),
    order_status: order.status,
    update_time: toMillisecond(order.atMs),
  };
}

export function feeData(fee: Transaction): Json {
  return {
    billing_amount: fromCents(fee.billing),
    billing_currency: fee.currency,
    card_available_balance: fromCents(fee.balanceAfter),
    card_id: fee.cardId,
    card_number: fee.cardNumber,
    cardholder_id: fee.holderId,
    posted_time: toMillisecond(fee.atMs),
    reference_id: fee.id,
    remark: fee.description,
    short_reference_id: shortId("CL", fee),
    transaction_amount: fromCents(fee.amount),
    transaction_currency: fee.currency,
    transaction_status: fee.status,
    transaction_time: toMillisecond(fee.atMs),
    transaction_type: fee.type,
  };
}

export function transactionData(transaction: Transaction): Json {
  const { merchant } = transaction;
  return {
    ...transactionOf(transaction),
    ...amountsOf(transaction, fromCents),
    merchant_data: merchant === undefined ? [] : [merchantOf(merchant)],
  };
}

/** In an answer the merchant is an object, and amounts are numbers. */
export function transactionAnswer(transaction: Transaction): Json {
  const { merchant } = transaction;
  return {
    ...transactionOf(transaction),
    ...amountsOf(transaction, (cents) => cents / 100),
    merchant_data: merchant === undefined ? {} : merchantOf(merchant),
  };
}

function transactionOf(transaction: Transaction): Json {
  return {
    authorization_code: transaction.authorizationCode,
    card_id: transaction.cardId,
    card_number: transaction.cardNumber,
    cardholder_id: transaction.holderId,
    description: transaction.description,
    fee_pass_through: transaction.fee > 0 ? "Y" : "N",
    original_transaction_id: transaction.originalId ?? "",
    posted_time: toMillisecond(transaction.atMs),
    short_transaction_id: shortId("T", transaction),
    transaction_id: transaction.id,
    transaction_status: transaction.status,
    transaction_time: toMillisecond(transaction.atMs),
    transaction_type: transaction.type,
    wallet_type: "",
  };
}

function amountsOf(
  transaction: Transaction,
  write: (cents: number) => string | number,
): Json {
  return {
    billing_amount: write(transaction.billing),
    billing_currency: transaction.currency,
    card_available_balance: write(transaction.balanceAfter),
    transaction_amount: write(transaction.amount),
    transaction_currency: transaction.currency,
    transaction_fee: write(transaction.fee),
    transaction_fee_currency: transaction.currency,
  };
}

function merchantOf({ mcc, name, city, country }: Merchant): Json {
  return { category_code: mcc, city, country, name };
}

function shortId(prefix: string, { id, atMs }: Transaction): string {
  const day = new Date(atMs).toISOString().slice(2, 10).replaceAll("-", "");
  return `${prefix}${day}-${id.slice(0, 12).toUpperCase()}`;
}

/** As it is listed: without its controls, with amounts and metadata as text. */
export function listedCard(card: Card): Json {
  return {
    ...commonOf(card),
    card_currency: card.currency,
    card_limit: fromCents(card.limit),
    available_balance: fromCents(card.balance),
    consumed_amount: fromCents(card.consumed),
    cardholder: holderOf(card),
    metadata: JSON.stringify(card.metadata),
    risk_controls: riskControlsAnswer(card),
    update_reason: card.statusReason ?? "",
  };
}

/** As it is retrieved: with amounts as numbers. */
export function retrievedCard(card: Card): Json {
  return {
    ...listedCard(card),
    card_limit: card.limit / 100,
    available_balance: card.balance / 100,
    cardholder: { ...holderOf(card), date_of_birth: "1990-01-01" },
    metadata: card.metadata,
    no_pin_payment_amount: card.currency,
    spending_controls: [
      { amount: card.perTransaction / 100, interval: "PER_TRANSACTION" },
    ],
  };
}

/** A list that is not used is null here. */
function riskControlsAnswer({ allowedMcc, blockedMcc }: Card): Json {
  return {
    allow_3ds_transactions: "Y",
    allowed_mcc: allowedMcc ?? null,
    blocked_mcc: blockedMcc ?? null,
  };
}

export function orderAnswer(order: Order): Json {
  return {
    card_id: order.cardId,
    card_order_id: order.id,
    order_type: order.type,
    create_time: toSecond(order.atMs),
    update_time: toSecond(order.atMs),
    complete_time: toSecond(order.atMs),
    order_status: order.status,
    ...(order.amount !== undefined && {
      amount: order.amount / 100,
      card_currency: order.currency,
    }),
  };
}
