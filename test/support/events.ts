import type {
  AuthorizationReported,
  CardEvent,
  CardObserved,
  StatusAnnounced,
} from "../../src/domain/card-event.ts";
import type { Card } from "../../src/domain/card.ts";
import { applyToCard } from "../../src/domain/card.ts";
import type { Authorization } from "../../src/domain/authorization.ts";
import { applyToAuthorization } from "../../src/domain/authorization.ts";
import type { Instant } from "../../src/domain/instant.ts";

/** A time of one day, to be short: `at("10:00:00.5")`. */
export function at(time: string): Instant {
  const [clock = "", decimals = ""] = time.split(".");
  return `2026-04-12T${clock}.${decimals.padEnd(6, "0")}Z` as Instant;
}

/** Signed as soon as it changed, unless said otherwise. */
export function aStatusAnnounced(
  event: Partial<StatusAnnounced> = {},
): StatusAnnounced {
  const changedAt = event.changedAt ?? at("10:00:00");
  return {
    kind: "status-announced",
    eventId: "event-1",
    cardId: "card-1",
    status: "ACTIVE",
    reason: undefined,
    changedAt,
    signedAt: changedAt,
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
    signedAt: at("10:00:00"),
    facts: {},
    ...event,
  };
}

export function anAuthorizationReported({
  fields,
  ...event
}: Partial<AuthorizationReported> = {}): AuthorizationReported {
  const happenedAt = "happenedAt" in event ? event.happenedAt : at("10:00:00");
  return {
    kind: "authorization-reported",
    eventId: "event-1",
    cardId: "card-1",
    transactionId: "transaction-1",
    happenedAt,
    signedAt: happenedAt ?? at("10:00:00"),
    receivedAt: at("10:00:01"),
    facts: {},
    ...event,
    fields: { cardId: "card-1", transactionStatus: "APPROVED", ...fields },
  };
}

/** The card after events that came in this order. */
export function cardAfter(...events: readonly CardEvent[]): Card {
  let card: Card | undefined;
  for (const event of events) card = applyToCard(card, event);
  if (card === undefined) throw new Error("a card needs an event");
  return card;
}

/** The authorization after events that came in this order. */
export function authorizationAfter(
  ...events: readonly AuthorizationReported[]
): Authorization {
  let authorization: Authorization | undefined;
  for (const event of events)
    authorization = applyToAuthorization(authorization, event);
  if (authorization === undefined)
    throw new Error("an authorization needs an event");
  return authorization;
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
