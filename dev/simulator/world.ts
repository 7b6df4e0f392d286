import {
  activateCard,
  changeControls,
  changeStatus,
  issueCard,
  letDaysPass,
} from "./card-life.ts";
import type { Card, Order, Transaction } from "./cards.ts";
import type { Ledger } from "./ledger.ts";
import { chargeFee, giveBack, moveFunds, settle, spend } from "./money.ts";

export type Amount = string | number;

export interface NewCard {
  readonly mode?: Card["mode"] | undefined;
  /** A physical one is PENDING until it is activated. */
  readonly form?: Card["form"] | undefined;
  /** Of a SINGLE card: what it begins with. Of a SHARE card: its limit. */
  readonly balance?: Amount | undefined;
  readonly perTransaction?: Amount | undefined;
  readonly allowedMcc?: readonly string[] | undefined;
  readonly blockedMcc?: readonly string[] | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** One that has a card already. */
  readonly holderId?: string | undefined;
}

export interface Purchase {
  readonly amount?: Amount | undefined;
  readonly mcc?: string | undefined;
  readonly merchant?: string | undefined;
  /** Taken off the card, too. */
  readonly fee?: Amount | undefined;
}

export interface Controls {
  readonly limit?: Amount | undefined;
  readonly perTransaction?: Amount | undefined;
  /** A card has one list or the other: naming one ends the other. */
  readonly allowedMcc?: readonly string[] | undefined;
  readonly blockedMcc?: readonly string[] | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** The life of cards at UQPAY. Each action is done at once, announces what UQPAY would, and gives what came out. */
export interface World extends Pick<
  Ledger,
  "card" | "cards" | "order" | "orders" | "transaction" | "transactions"
> {
  readonly issue: (card?: NewCard) => Card;
  /** The customer activates a physical card. */
  readonly activate: (cardId: string) => Card;
  /** @returns the authorization, approved or declined */
  readonly spend: (cardId: string, purchase?: Purchase) => Transaction;
  readonly freeze: (cardId: string, reason?: string) => Card;
  readonly unfreeze: (cardId: string, reason?: string) => Card;
  /** What UQPAY alone does. */
  readonly block: (cardId: string, reason?: string) => Card;
  readonly updateControls: (cardId: string, controls: Controls) => Card;
  readonly recharge: (cardId: string, amount: Amount) => Order;
  readonly withdraw: (cardId: string, amount: Amount) => Order;
  readonly fee: (
    cardId: string,
    amount: Amount,
    remark?: string,
  ) => Transaction;
  /** Undoes an authorization, or a part of it. */
  readonly reverse: (transactionId: string, amount?: Amount) => Transaction;
  /** The merchant gives back. */
  readonly refund: (transactionId: string, amount?: Amount) => Transaction;
  /** The merchant takes what was authorized; or more, or less, and the balance moves by the difference. */
  readonly settle: (transactionId: string, amount?: Amount) => Transaction;
  /** PRE_CANCEL; CANCELLED thirty days later. */
  readonly cancel: (cardId: string, reason?: string) => Card;
  /**
   * As if so many days had passed: what falls due in them happens now. The clock stays, since a receiver refuses what is
   * signed at another time.
   */
  readonly later: (days: number) => readonly Card[];
}

export function createWorld(ledger: Ledger): World {
  const { card, cards, order, orders, transaction, transactions } = ledger;
  return {
    issue: (wanted = {}) => issueCard(ledger, wanted),
    activate: (id) => activateCard(ledger, id),
    spend: (id, purchase = {}) => spend(ledger, id, purchase),
    freeze: (id, reason) =>
      changeStatus(ledger, id, ["ACTIVE"], "FROZEN", reason),
    unfreeze: (id, reason) =>
      changeStatus(ledger, id, ["FROZEN", "BLOCKED"], "ACTIVE", reason),
    block: (id, reason) =>
      changeStatus(ledger, id, ["ACTIVE", "FROZEN"], "BLOCKED", reason),
    cancel: (id, reason) =>
      changeStatus(ledger, id, ["ACTIVE", "FROZEN"], "PRE_CANCEL", reason),
    updateControls: (id, controls) => changeControls(ledger, id, controls),
    recharge: (id, amount) => moveFunds(ledger, id, "recharge", amount),
    withdraw: (id, amount) => moveFunds(ledger, id, "withdraw", amount),
    fee: (id, amount, remark = "deduct virtual card maintenance fee") =>
      chargeFee(ledger, id, amount, remark),
    reverse: (id, amount) => giveBack(ledger, id, "reversal", amount),
    refund: (id, amount) => giveBack(ledger, id, "refund", amount),
    settle: (id, amount) => settle(ledger, id, amount),
    later: (days) => letDaysPass(ledger, days),
    card,
    cards,
    order,
    orders,
    transaction,
    transactions,
  };
}
