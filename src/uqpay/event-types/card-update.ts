import { optional, readId, readStatus, required } from "../fields.ts";
import { orderFields, orderOf } from "./card-order.ts";
import { cardFactFields, factsOf } from "./card-snapshot.ts";
import { eventType } from "./event-type.ts";

function snapshotType(name: string, orderType: string) {
  return eventType(
    name,
    {
      ...cardFactFields,
      ...orderFields,
      card_id: required(readId),
      card_status: optional(readStatus),
    },
    (data, context) => ({
      kind: "card-observed",
      ...context.origin,
      cardId: data.card_id,
      status: data.card_status,
      observedAt: undefined,
      facts: factsOf(data),
      order: orderOf(orderType, "SUCCESS", data, context),
    }),
  );
}

/** A snapshot of the card after an update. Nothing in it says when: the signing time orders two updates. */
export const cardUpdate = snapshotType("card.update.succeeded", "update");

/**
 * The first snapshot of a card, or of a physical card that was assigned. No status event announces the first
 * ACTIVE (card lifecycle guide), so without this a virtual card's first status is never known.
 */
export const cardCreate = snapshotType("card.create.succeeded", "create");
