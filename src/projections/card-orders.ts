import type { CardEvent, OrderReported } from "../domain/card-event.ts";
import { clockOf } from "../domain/clock.ts";
import type { Registers } from "../domain/registers.ts";
import { statedAt } from "../domain/registers.ts";
import type { Projection } from "./projection.ts";
import { bookkeeping, earliest, key, latest, required } from "./projection.ts";

/** What all events so far say of each order: to create a card, to change it, to move money. */
export const cardOrders: Projection = {
  table: "card_orders",
  subject: "order",
  columns: {
    order_id: key("text"),
    card_id: bookkeeping(latest("text")),
    order_type: required(latest("text")),
    order_status: required(latest("text")),
    amount: latest("numeric"),
    currency: latest("text"),
    reason: latest("text"),
    completed_at: latest("timestamptz"),
    event_id: bookkeeping(required(latest("text"))),
    first_seen_at: bookkeeping(required(earliest("clock"))),
  },
  statementsIn: (event) =>
    "order" in event && event.order !== undefined
      ? [
          {
            key: [event.order.orderId],
            registers: registersIn(event, event.order),
          },
        ]
      : [],
};

/** An outcome replaces what is only under way, however late that comes: its amounts and its reason, too. */
function registersIn(
  event: CardEvent,
  { happenedAt, facts }: OrderReported,
): Registers {
  const isUnderWay =
    facts["order_status"] === "PENDING" ||
    facts["order_status"] === "PROCESSING";
  const clock = { ...clockOf(event, happenedAt), finality: isUnderWay ? 0 : 1 };
  return {
    ...statedAt(clock, {
      event_id: event.eventId,
      card_id: event.cardId,
      ...facts,
    }),
    ...statedAt(clockOf(event), { first_seen_at: event.signedAt }),
  };
}
