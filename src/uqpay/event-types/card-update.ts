import { z } from "zod";
import type { CardEvent } from "../../domain/card-event.ts";
import type { Stated } from "../fields.ts";
import { optional, readId, readStatus, required } from "../fields.ts";
import { cardFactFields, factsOf } from "./card-snapshot.ts";
import type { EventContext } from "./event-type.ts";
import { eventType } from "./event-type.ts";

const snapshot = z.object({
  ...cardFactFields,
  card_id: required(readId),
  card_status: optional(readStatus),
});

function toCardObserved(
  data: Stated<z.output<typeof snapshot>>,
  { eventId, signedAt, receivedAt }: EventContext,
): CardEvent {
  return {
    kind: "card-observed",
    eventId,
    signedAt,
    receivedAt,
    cardId: data.card_id,
    status: data.card_status,
    facts: factsOf(data),
  };
}

/** A snapshot of the card after an update. Nothing in it says when: the signing time orders two updates. */
export const cardUpdate = eventType(
  "card.update.succeeded",
  snapshot,
  toCardObserved,
);

/**
 * The first snapshot of a card, or of a physical card that was assigned. No status event announces the first
 * ACTIVE (card lifecycle guide), so without this a virtual card's first status is never known.
 */
export const cardCreate = eventType(
  "card.create.succeeded",
  snapshot,
  toCardObserved,
);
