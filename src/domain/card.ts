import type { CardEvent } from "./card-event.ts";
import type { Clock } from "./clock.ts";
import { clockOf } from "./clock.ts";
import type { Instant } from "./instant.ts";
import { earlier, earliestKnown, later } from "./instant.ts";
import type { Json, JsonObject } from "./json.ts";
import type { NewRegisters, Registers } from "./registers.ts";
import { dateBack, mergeRegisters, registersOf } from "./registers.ts";

/** A limit on spending. Amounts are decimal text; the interval is open (only PER_TRANSACTION works today). */
export interface SpendingControl {
  readonly amount?: string;
  readonly interval?: string;
  readonly [other: string]: Json | undefined;
}

/** The card's own risk rules. An empty list is known to be empty. */
export interface RiskControl {
  readonly allowedMcc: readonly string[];
  readonly blockedMcc: readonly string[];
  /** As delivered, with the keys that have no column of their own. */
  readonly delivered: JsonObject;
}

/** What an event may say of a card besides its status. Amounts are decimal text. */
export interface CardFields {
  cardNumber: string;
  cardBin: string;
  cardScheme: string;
  cardProductId: string;
  cardholderId: string;
  cardCurrency: string;
  modeType: string;
  formFactor: string;
  cardLimit: string;
  availableBalance: string;
  noPinPaymentAmount: string;
  spendingControls: readonly SpendingControl[];
  riskControl: RiskControl;
  metadata: JsonObject;
}

/** The fields that one event states; what it does not state stays as it is known. */
export type CardFacts = {
  readonly [Field in keyof CardFields]?: CardFields[Field] | undefined;
};

/** What the use of a card tells of it. */
export type UseFacts = Pick<
  CardFacts,
  "cardNumber" | "cardholderId" | "availableBalance"
>;

/** The registers of a card: its fields, its status twice, and which event was the latest. */
export interface CardRegisterFields extends CardFields {
  cardStatus: { readonly status: string; readonly reason: string | undefined };
  observedStatus: string;
  lastEvent: true;
}

/**
 * What all events so far say of one card. A join-semilattice: `mergeCards` is commutative, associative and
 * idempotent, so the same events give the same card in any order and any number.
 */
export interface Card {
  readonly cardId: string;
  readonly registers: Registers<CardRegisterFields>;
  /** The earliest signing time of an event about this card. */
  readonly firstSeenAt: Instant;
  /** The earliest time at which any event said PRE_CANCEL. */
  readonly cancelRequestedAt: Instant | undefined;
}

/**
 * CANCELLED and FAILED are final for UQPAY and PRE_CANCEL leads only to CANCELLED (card lifecycle guide), so
 * whatever is less final is older news, however late it comes. An unknown status is treated as ordinary.
 */
export function statusFinality(status: string): number {
  switch (status) {
    case "CANCELLED":
    case "FAILED":
      return 2;
    case "PRE_CANCEL":
      return 1;
    default:
      return 0;
  }
}

/** @returns `known` itself when the event changes nothing */
export function applyToCard(known: Card | undefined, event: CardEvent): Card {
  const news = cardFrom(event);
  return known === undefined ? news : mergeCards(known, news);
}

export function mergeCards(known: Card, news: Card): Card {
  const registers = mergeRegisters(known.registers, news.registers);
  const firstSeenAt = earlier(known.firstSeenAt, news.firstSeenAt);
  const cancelRequestedAt = earliestKnown(
    known.cancelRequestedAt,
    news.cancelRequestedAt,
  );
  const unchanged =
    registers === known.registers &&
    firstSeenAt === known.firstSeenAt &&
    cancelRequestedAt === known.cancelRequestedAt;
  return unchanged
    ? known
    : { cardId: known.cardId, registers, firstSeenAt, cancelRequestedAt };
}

/**
 * What some events said, dated by the earlier times at which copies of them were signed.
 *
 * @param signedAtOf by event_id; events about this card
 */
export function dateCardBack(
  card: Card,
  signedAtOf: ReadonlyMap<string, Instant>,
): Card {
  const registers = dateBack(card.registers, signedAtOf);
  const { cardStatus } = registers;
  const isToBeCancelled = cardStatus?.value.status === "PRE_CANCEL";
  return {
    cardId: card.cardId,
    registers,
    firstSeenAt: [...signedAtOf.values()].reduce(earlier, card.firstSeenAt),
    cancelRequestedAt: earliestKnown(
      card.cancelRequestedAt,
      isToBeCancelled ? cardStatus.clock.at : undefined,
    ),
  };
}

/** When the card's own spending rules were last set: the later of the two kinds of rules. */
export function controlsUpdatedAt(card: Card): Instant | undefined {
  const { spendingControls, riskControl } = card.registers;
  if (spendingControls === undefined) return riskControl?.clock.at;
  if (riskControl === undefined) return spendingControls.clock.at;
  return later(spendingControls.clock.at, riskControl.clock.at);
}

/** Which of the two lists decides; `none`: both are known to be empty. */
export function mccMode({
  allowedMcc,
  blockedMcc,
}: RiskControl): "allow" | "block" | "none" {
  if (allowedMcc.length > 0) return "allow";
  return blockedMcc.length > 0 ? "block" : "none";
}

/** A snapshot showed another status than the one that stands, and later: an announcement is late or was lost. */
export function isContradicted({ registers }: Card): boolean {
  const { cardStatus, observedStatus } = registers;
  if (cardStatus === undefined || observedStatus === undefined) return false;
  return (
    observedStatus.value !== cardStatus.value.status &&
    observedStatus.clock.at > cardStatus.clock.at
  );
}

/** The clock of what an event says apart from the status; the order of a card's story. */
export function clockOfEvent(event: CardEvent): Clock {
  return clockOf(event, ownTimeOf(event));
}

/** The card that this event alone would make. */
function cardFrom(event: CardEvent): Card {
  const clock = clockOfEvent(event);
  const status = statusIn(event);
  const registers = registersOf<CardRegisterFields>(event.facts, clock);
  registers.lastEvent = { value: true, clock };
  if (status !== undefined) setStatus(registers, event, status, clock);
  return {
    cardId: event.cardId,
    registers,
    firstSeenAt: event.signedAt,
    cancelRequestedAt: status === "PRE_CANCEL" ? clock.at : undefined,
  };
}

function setStatus(
  registers: NewRegisters<CardRegisterFields>,
  event: CardEvent,
  status: string,
  clock: Clock,
): void {
  const finality = statusFinality(status);
  if (event.kind === "status-announced") {
    registers.cardStatus = {
      value: { status, reason: event.reason },
      clock: { ...clock, finality, authority: 1 },
    };
    return;
  }
  registers.cardStatus = {
    value: { status, reason: undefined },
    clock: { ...clock, finality },
  };
  registers.observedStatus = { value: status, clock };
}

function statusIn(event: CardEvent): string | undefined {
  return event.kind === "authorization-reported" ? undefined : event.status;
}

function ownTimeOf(event: CardEvent): Instant | undefined {
  switch (event.kind) {
    case "status-announced":
      return event.changedAt;
    case "authorization-reported":
      return event.happenedAt;
    case "card-observed":
      return undefined;
  }
}
