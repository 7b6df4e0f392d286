import type { AuthorizationFields } from "./authorization.ts";
import type { CardFacts, UseFacts } from "./card.ts";
import type { EventOrigin } from "./clock.ts";
import type { Instant } from "./instant.ts";

/** What happened, in our words. Where it came from and how it was written is known to `uqpay/` only. */
export type CardEvent = StatusAnnounced | CardObserved | AuthorizationReported;

/** Every kind, for what counts by kind. */
export const CARD_EVENT_KINDS = Object.keys({
  "status-announced": true,
  "card-observed": true,
  "authorization-reported": true,
} satisfies Record<CardEvent["kind"], true>);

/** UQPAY announced a change of status, with the time of the change. */
export interface StatusAnnounced extends EventOrigin {
  readonly kind: "status-announced";
  readonly cardId: string;
  readonly status: string;
  readonly reason: string | undefined;
  readonly changedAt: Instant;
  readonly facts: CardFacts;
}

/** A card as it was when the event was signed: creation, update, activation. A status is only seen in passing. */
export interface CardObserved extends EventOrigin {
  readonly kind: "card-observed";
  readonly cardId: string;
  readonly status: string | undefined;
  readonly facts: CardFacts;
}

/** A merchant asked for money; approved, declined or pending. Also says a little about the card. */
export interface AuthorizationReported extends EventOrigin {
  readonly kind: "authorization-reported";
  readonly cardId: string;
  readonly transactionId: string;
  /** When it happened by the event's own word: transaction time, else posted time. */
  readonly happenedAt: Instant | undefined;
  /** When this service first received it. */
  readonly receivedAt: Instant;
  readonly fields: AuthorizationFields;
  readonly facts: UseFacts;
}
