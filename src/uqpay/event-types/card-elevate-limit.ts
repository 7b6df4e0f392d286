import {
  optional,
  readAmount,
  readId,
  readInstant,
  readInstantOrUnset,
  required,
} from "../fields.ts";
import { orderFields, orderOf } from "./card-order.ts";
import { eventType } from "./event-type.ts";

/** Raises the limit of a single transaction for a while. No event tells of its end. */
export const cardElevateLimit = eventType(
  "card.elevate_limit.succeeded",
  {
    ...orderFields,
    card_id: required(readId),
    per_transaction_limit: required(readAmount),
    expires_at: required(readInstant),
    created_at: optional(readInstantOrUnset),
  },
  (data, context) => ({
    kind: "card-observed",
    ...context.origin,
    cardId: data.card_id,
    status: undefined,
    observedAt: data.created_at,
    facts: {
      elevated_limit: data.per_transaction_limit,
      elevated_limit_until: data.expires_at,
    },
    order: orderOf("elevate_limit", "SUCCESS", data, context, {
      amount: data.per_transaction_limit,
      happenedAt: data.created_at,
    }),
  }),
);
