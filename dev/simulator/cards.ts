/*
 * What UQPAY keeps: cards, orders and transactions. Amounts are cents, times milliseconds since 1970. A card is never
 * changed: each change gives a new one, so that an answer can show it as it was.
 */

export type CardStatus =
  "PENDING" | "ACTIVE" | "FROZEN" | "BLOCKED" | "PRE_CANCEL" | "CANCELLED";

export interface Card {
  readonly id: string;
  /** Masked. */
  readonly number: string;
  readonly bin: string;
  readonly productId: string;
  readonly holder: Holder;
  /** SINGLE is prepaid; SHARE spends from the account, up to its limit. */
  readonly mode: "SINGLE" | "SHARE";
  readonly form: "VIRTUAL" | "PHYSICAL";
  readonly currency: string;
  readonly status: CardStatus;
  readonly statusReason: string | undefined;
  readonly limit: number;
  readonly balance: number;
  readonly consumed: number;
  readonly perTransaction: number;
  /** Undefined: this list is not used. */
  readonly allowedMcc: readonly string[] | undefined;
  readonly blockedMcc: readonly string[] | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly createdAtMs: number;
  /** When PRE_CANCEL becomes CANCELLED. */
  readonly cancelDueAtMs: number | undefined;
}

/** Made up. Its names and addresses are there to be found where they must not be. */
export interface Holder {
  readonly id: string;
  readonly firstName: string;
  readonly lastName: string;
  readonly email: string;
}

export interface Order {
  readonly id: string;
  readonly cardId: string;
  readonly type: string;
  readonly status: "SUCCESS";
  readonly amount: number | undefined;
  readonly currency: string;
  readonly atMs: number;
}

export interface Transaction {
  readonly id: string;
  readonly cardId: string;
  readonly holderId: string;
  readonly cardNumber: string;
  /** As REST writes it: `SETTLEMENT DEBIT`. */
  readonly type: string;
  readonly status: "APPROVED" | "DECLINED";
  readonly description: string;
  readonly originalId: string | undefined;
  readonly amount: number;
  readonly billing: number;
  readonly currency: string;
  readonly fee: number;
  readonly authorizationCode: string;
  /** Undefined for a fee. */
  readonly merchant: Merchant | undefined;
  readonly balanceAfter: number;
  readonly atMs: number;
}

export interface Merchant {
  readonly mcc: string;
  readonly name: string;
  readonly city: string;
  readonly country: string;
}

/** What was asked for cannot be done: such as spending with an id that is no card's. */
export class SimulatorError extends Error {}

/** @throws SimulatorError for what is no amount with at most two decimals */
export function toCents(amount: string | number): number {
  const text = String(amount);
  if (!/^\d{1,12}(?:\.\d{1,2})?$/.test(text))
    throw new SimulatorError(
      "an amount is a number with at most two decimals, such as 12.50",
    );
  return Math.round(Number(text) * 100);
}

/** As UQPAY writes amounts in text: `988.5`. */
export function fromCents(cents: number): string {
  return String(cents / 100);
}
