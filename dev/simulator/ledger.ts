import type { Card, Order, Transaction } from "./cards.ts";
import { SimulatorError } from "./cards.ts";
import type { Random } from "./random.ts";

/** What UQPAY tells its customer of. */
export interface Announcement {
  readonly eventType: string;
  readonly sourceId: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What UQPAY keeps, and how it is told of. */
export interface Ledger {
  readonly nowMs: () => number;
  readonly random: Random;
  readonly announce: (announcement: Announcement) => void;
  /** @throws SimulatorError when there is no such card */
  readonly find: (cardId: string) => Card;
  readonly save: (card: Card) => Card;
  /** An order that is done at once. */
  readonly place: (card: Card, type: string, amount?: number) => Order;
  readonly book: (transaction: Transaction) => void;
  /** @param atMs as it was then; default: as it is */
  readonly card: (cardId: string, atMs?: number) => Card | undefined;
  readonly cards: (atMs?: number) => readonly Card[];
  readonly order: (orderId: string) => Order | undefined;
  readonly orders: () => readonly Order[];
  readonly transaction: (transactionId: string) => Transaction | undefined;
  readonly transactions: () => readonly Transaction[];
}

/** How far an answer may lag, in changes of one card. */
const MOST_VERSIONS = 50;

interface Version {
  readonly atMs: number;
  readonly card: Card;
}

export function createLedger(
  nowMs: () => number,
  random: Random,
  announce: (announcement: Announcement) => void,
): Ledger {
  const versions = new Map<string, Version[]>();
  const orders = new Map<string, Order>();
  const transactions = new Map<string, Transaction>();
  const cardAt = (cardId: string, atMs = Infinity) =>
    versions.get(cardId)?.findLast((version) => version.atMs <= atMs)?.card;
  return {
    nowMs,
    random,
    announce,
    find: (cardId) => {
      const card = cardAt(cardId);
      if (card === undefined)
        throw new SimulatorError(`there is no card ${cardId}`);
      return card;
    },
    save: (card) => {
      const kept = versions.get(card.id) ?? [];
      kept.push({ atMs: nowMs(), card });
      if (kept.length > MOST_VERSIONS) kept.shift();
      versions.set(card.id, kept);
      return card;
    },
    place: ({ id: cardId, currency }, type, amount) => {
      const id = random.uuid();
      const atMs = nowMs();
      const facts = { type, status: "SUCCESS", amount, currency } as const;
      const order: Order = { id, cardId, atMs, ...facts };
      orders.set(id, order);
      return order;
    },
    book: (transaction) => {
      transactions.set(transaction.id, transaction);
    },
    card: cardAt,
    cards: (atMs) =>
      [...versions.keys()].flatMap((cardId) => cardAt(cardId, atMs) ?? []),
    order: (id) => orders.get(id),
    orders: () => [...orders.values()],
    transaction: (id) => transactions.get(id),
    transactions: () => [...transactions.values()],
  };
}
