import {
  optional,
  readId,
  readInstant,
  readStatus,
  readText,
  required,
} from "../fields.ts";
import { cardFactFields, factsOf } from "./card-snapshot.ts";
import { eventType } from "./event-type.ts";

/** Announces a change of status. Any status may come, also one that no page lists. */
export const cardStatusUpdate = eventType(
  "card.status.update.succeeded",
  {
    ...cardFactFields,
    card_id: required(readId),
    card_status: required(readStatus),
    update_time: required(readInstant),
    update_reason: optional(readText),
  },
  (data, { origin }) => ({
    kind: "status-announced",
    ...origin,
    cardId: data.card_id,
    status: data.card_status,
    reason: data.update_reason,
    changedAt: data.update_time,
    facts: factsOf(data),
  }),
);
