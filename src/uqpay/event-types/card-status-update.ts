import {
  optional,
  readId,
  readInstant,
  readStatus,
  readText,
  required,
} from "../fields.ts";
import { orderFields, orderOf } from "./card-order.ts";
import { cardFactFields, factsOf } from "./card-snapshot.ts";
import { eventType } from "./event-type.ts";

/** Announces a change of status. Any status may come, also one that no page lists. */
export const cardStatusUpdate = eventType(
  "card.status.update.succeeded",
  {
    card_id: required(readId),
    card_status: required(readStatus),
    ...cardFactFields,
    ...orderFields,
    update_time: required(readInstant),
    update_reason: optional(readText),
  },
  (data, context) => ({
    kind: "status-announced",
    ...context.origin,
    cardId: data.card_id,
    status: data.card_status,
    reason: data.update_reason,
    changedAt: data.update_time,
    facts: factsOf(data),
    order: orderOf("status", "SUCCESS", data, context),
  }),
);
