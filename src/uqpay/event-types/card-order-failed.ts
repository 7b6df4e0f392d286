import { optional, readId } from "../fields.ts";
import { orderFields, orderOf } from "./card-order.ts";
import type { EventType } from "./event-type.ts";
import { eventType } from "./event-type.ts";

/** Nothing changed, whatever else such an event says of its card. */
function failedOrder(name: string, orderType: string): EventType {
  return {
    ...eventType(
      name,
      { ...orderFields, card_id: optional(readId) },
      (data, context) => ({
        kind: "order-failed",
        ...context.origin,
        cardId: data.card_id,
        order: orderOf(orderType, "FAILED", data, context),
      }),
    ),
    leavesCardAlone: true,
  };
}

export const failedOrders: readonly EventType[] = [
  failedOrder("card.update.failed", "update"),
  failedOrder("card.status.update.failed", "status"),
  failedOrder("card.recharge.failed", "recharge"),
  failedOrder("card.withdraw.failed", "withdraw"),
  failedOrder("card.elevate_limit.failed", "elevate_limit"),
];
