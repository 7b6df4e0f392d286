import { optional, readId } from "../fields.ts";
import { orderFields, orderOf, reasonIn, timeIn } from "./card-order.ts";
import { cardFactFields, factsOf } from "./card-snapshot.ts";
import { eventType } from "./event-type.ts";

/** The card that it names will never be one. Most likely it names none, and only the order has failed. */
export const cardCreateFailed = eventType(
  "card.create.failed",
  { ...cardFactFields, ...orderFields, card_id: optional(readId) },
  (data, context) => {
    const order = orderOf("create", "FAILED", data, context);
    const { card_id: cardId } = data;
    if (cardId === undefined)
      return { kind: "order-failed", ...context.origin, cardId, order };
    return {
      kind: "status-announced",
      ...context.origin,
      cardId,
      status: "FAILED",
      reason: reasonIn(data),
      changedAt: timeIn(data),
      facts: factsOf(data),
      order,
    };
  },
);
