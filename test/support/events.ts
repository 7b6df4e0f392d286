import { expect } from "@jest/globals";
import type {
  TransactionReported,
  CardEvent,
  CardholderReported,
  CardObserved,
  OrderFailed,
  OrderReported,
  PinBlocked,
  StatusAnnounced,
} from "../../src/domain/card-event.ts";
import type { Instant } from "../../src/domain/instant.ts";
import { cardOrders } from "../../src/projections/card-orders.ts";
import { transactions } from "../../src/projections/transactions.ts";
import { cardholders } from "../../src/projections/cardholders.ts";
import { cards } from "../../src/projections/cards.ts";
import type { Projection } from "../../src/projections/projection.ts";
import type { KnownRow, Row } from "../../src/projections/rows.ts";
import { fold, idOf, statementsIn, toRow } from "../../src/projections/rows.ts";

/** A time of one day, to be short: `at("10:00:00.5")`. */
export function at(time: string): Instant {
  const [clock = "", decimals = ""] = time.split(".");
  return `2026-04-12T${clock}.${decimals.padEnd(6, "0")}Z` as Instant;
}

/** Signed as soon as it changed, unless said otherwise. */
export function aStatusAnnounced(
  event: Partial<StatusAnnounced> = {},
): StatusAnnounced {
  const changedAt = "changedAt" in event ? event.changedAt : at("10:00:00");
  return {
    kind: "status-announced",
    eventId: "event-1",
    cardId: "card-1",
    status: "ACTIVE",
    reason: undefined,
    changedAt,
    signedAt: changedAt ?? at("10:00:00"),
    receivedAt: at("10:00:01"),
    facts: {},
    ...event,
  };
}

export function aCardObserved(event: Partial<CardObserved> = {}): CardObserved {
  return {
    kind: "card-observed",
    eventId: "event-1",
    cardId: "card-1",
    status: undefined,
    observedAt: undefined,
    signedAt: event.observedAt ?? at("10:00:00"),
    receivedAt: at("10:00:01"),
    facts: {},
    ...event,
  };
}

export function aPinBlocked(event: Partial<PinBlocked> = {}): PinBlocked {
  return {
    kind: "pin-blocked",
    eventId: "event-1",
    cardId: "card-1",
    signedAt: at("10:00:00"),
    receivedAt: at("10:00:01"),
    facts: {},
    ...event,
  };
}

export function aCardholderReported(
  event: Partial<CardholderReported> = {},
): CardholderReported {
  return {
    kind: "cardholder-reported",
    eventId: "event-1",
    cardId: undefined,
    cardholderId: "holder-1",
    happenedAt: undefined,
    isAnnounced: true,
    signedAt: event.happenedAt ?? at("10:00:00"),
    receivedAt: at("10:00:01"),
    cardholder: { cardholder_status: "SUCCESS" },
    ...event,
  };
}

/** Told by a failure that names no card, unless said otherwise. */
export function anOrderFailed(
  { facts, ...order }: Partial<OrderReported> = {},
  event: Partial<OrderFailed> = {},
): OrderFailed {
  return {
    kind: "order-failed",
    eventId: "event-1",
    cardId: undefined,
    signedAt: order.happenedAt ?? at("10:00:00"),
    receivedAt: at("10:00:01"),
    order: {
      orderId: "order-1",
      happenedAt: undefined,
      ...order,
      facts: { order_type: "update", order_status: "FAILED", ...facts },
    },
    ...event,
  };
}

export function aTransactionReported({
  transaction,
  ...event
}: Partial<TransactionReported> = {}): TransactionReported {
  const happenedAt = "happenedAt" in event ? event.happenedAt : at("10:00:00");
  return {
    kind: "transaction-reported",
    eventId: "event-1",
    cardId: "card-1",
    transactionId: "transaction-1",
    transactionKind: "authorization",
    happenedAt,
    bookedAt: happenedAt,
    signedAt: happenedAt ?? at("10:00:00"),
    receivedAt: at("10:00:01"),
    facts: {},
    ...event,
    transaction: { transaction_status: "APPROVED", ...transaction },
  };
}

/** What is known after events about one row, which came in this order; `before`: what was known of it. */
export function knownAfter(
  projection: Projection,
  events: readonly CardEvent[],
  before?: KnownRow,
): KnownRow {
  const known = new Map(before && [[idOf(before.key), before]]);
  const after = fold(projection, known, statementsIn(projection, events));
  const [row, ...others] = after.values();
  if (row === undefined || others.length > 0) throw new Error("one row");
  return row;
}

export function cardAfter(...events: readonly CardEvent[]): KnownRow {
  return knownAfter(cards, events);
}

export function orderAfter(...events: readonly CardEvent[]): KnownRow {
  return knownAfter(cardOrders, events);
}

export function cardholderAfter(...events: readonly CardEvent[]): KnownRow {
  return knownAfter(cardholders, events);
}

export function transactionAfter(
  ...events: readonly TransactionReported[]
): KnownRow {
  return knownAfter(transactions, events);
}

/** The rows that these events give, by their keys. */
export function rowsAfter(
  projection: Projection,
  events: readonly CardEvent[],
): ReadonlyMap<string, Row | undefined> {
  const known = fold(projection, new Map(), statementsIn(projection, events));
  return new Map(
    [...known].map(([id, one]) => [id, toRow(projection, one)] as const),
  );
}

/** The row that these events give; fails when their order matters. */
export function rowAfter(
  projection: Projection,
  events: readonly CardEvent[],
): Row {
  const rows = ordersOf(events).map((order) =>
    toRow(projection, knownAfter(projection, order)),
  );
  const [row] = rows;
  for (const other of rows) expect(other).toEqual(row);
  if (row === undefined) throw new Error("no row");
  return row;
}

/** What an inbox holds after these deliveries: of each event the copy that was signed first, whichever came first. */
export function earliestCopies<Event extends CardEvent>(
  deliveries: readonly Event[],
): Event[] {
  const inbox = new Map<string, Event>();
  for (const delivery of deliveries) {
    const known = inbox.get(delivery.eventId);
    if (known === undefined || delivery.signedAt < known.signedAt)
      inbox.set(delivery.eventId, delivery);
  }
  return [...inbox.values()];
}

/** All orders of a few things. */
export function ordersOf<T>(things: readonly T[]): T[][] {
  if (things.length <= 1) return [[...things]];
  return things.flatMap((first, index) =>
    ordersOf(things.toSpliced(index, 1)).map((rest) => [first, ...rest]),
  );
}
