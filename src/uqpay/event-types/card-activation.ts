import { optional, readId, readStatus, required } from "../fields.ts";
import { cardFactFields, factsOf } from "./card-snapshot.ts";
import { eventType } from "./event-type.ts";

/**
 * A physical card's activation: the only news of its first ACTIVE. The event says `Activated`, in its own
 * words; any other outcome leaves the status as it is known.
 */
export const cardActivation = eventType(
  "card.activation.status",
  {
    ...cardFactFields,
    card_id: required(readId),
    activation_status: optional(readStatus),
  },
  (data, { origin }) => ({
    kind: "card-observed",
    ...origin,
    cardId: data.card_id,
    status: data.activation_status === "ACTIVATED" ? "ACTIVE" : undefined,
    observedAt: undefined,
    facts: factsOf(data),
  }),
);
