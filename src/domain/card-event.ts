import type { EventOrigin } from "./clock.ts";
import type { Instant } from "./instant.ts";
import type { Json } from "./json.ts";

/** What happened, in our words. Where it came from and how it was written is known to `uqpay/` only. */
export type CardEvent =
  | StatusAnnounced
  | CardObserved
  | PinBlocked
  | OrderFailed
  | CardholderReported
  | TransactionReported;

/**
 * What an event states, by the names of the columns that keep it. Amounts are decimal text, MCCs four digits. What is
 * undefined is not stated, and stays as it is known.
 */
export type Facts = Readonly<Record<string, Json | undefined>>;

/** What every event has. */
interface Origin extends EventOrigin {
  /** Undefined where it names none. */
  readonly cardId: string | undefined;
  /** When this service first received it. */
  readonly receivedAt: Instant;
}

/** An event that says something of a card. */
interface OfCard extends Origin {
  readonly cardId: string;
  /** What it states of the card besides its status: columns of `cards`. */
  readonly facts: Facts;
}

/** An event that ends an order, or tells how far it is. */
interface OfOrder {
  /** Undefined where the order has no name. */
  readonly order?: OrderReported | undefined;
}

export interface OrderReported {
  readonly orderId: string;
  /** When it came to be so by the event's own word. */
  readonly happenedAt: Instant | undefined;
  /** What is stated of the order: columns of `card_orders`. */
  readonly facts: Facts;
}

/** UQPAY announced a change of status. */
export interface StatusAnnounced extends OfCard, OfOrder {
  readonly kind: "status-announced";
  readonly status: string;
  readonly reason: string | undefined;
  /** Undefined where a failed creation does not say when. */
  readonly changedAt: Instant | undefined;
}

/** A card as it was at some time: creation, update, activation, recharge. A status is only seen in passing. */
export interface CardObserved extends OfCard, OfOrder {
  readonly kind: "card-observed";
  readonly status: string | undefined;
  /** By the event's own word; undefined: when it was signed. */
  readonly observedAt: Instant | undefined;
}

/** The card takes no PIN for now: a wrong one was entered too often. Nothing tells when that is over. */
export interface PinBlocked extends OfCard {
  readonly kind: "pin-blocked";
}

/** What was ordered was not done: the card stays as it is, and may not even be named. */
export interface OrderFailed extends Origin, OfOrder {
  readonly kind: "order-failed";
}

/** A cardholder's status, and nothing else of the person. */
export interface CardholderReported extends Origin {
  readonly kind: "cardholder-reported";
  readonly cardId: undefined;
  readonly cardholderId: string;
  readonly happenedAt: Instant | undefined;
  /** True: UQPAY announced that the status has changed. False: it was seen in passing. */
  readonly isAnnounced: boolean;
  /** What it states: columns of `cardholders`. */
  readonly cardholder: Facts;
}

/** Money moved or was asked for: an authorization, what became of it, a fee. Also says a little about the card. */
export interface TransactionReported extends Origin {
  readonly kind: "transaction-reported";
  /** Of the card, where it names one. */
  readonly facts: Facts;
  readonly transactionId: string;
  /** What of the transaction it tells: `authorization`, `settlement.debit`, `fee`, or a word that UQPAY adds later. */
  readonly transactionKind: string;
  /** When it happened by the event's own word: transaction time, else posted time. */
  readonly happenedAt: Instant | undefined;
  /** When the balance that it states stood: posted time, else transaction time. */
  readonly bookedAt: Instant | undefined;
  /** What it states of the transaction: columns of `transactions`. */
  readonly transaction: Facts;
}

/** When it happened by the event's own word, where it has one. */
export function ownTimeOf(event: CardEvent): Instant | undefined {
  switch (event.kind) {
    case "status-announced":
      return event.changedAt;
    case "transaction-reported":
    case "cardholder-reported":
      return event.happenedAt;
    case "card-observed":
      return event.observedAt;
    case "order-failed":
      return event.order?.happenedAt;
    case "pin-blocked":
      return undefined;
  }
}
