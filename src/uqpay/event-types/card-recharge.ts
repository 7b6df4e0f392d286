import { optional, readId, readStatus, required } from "../fields.ts";
import { orderFields, orderOf, timeIn } from "./card-order.ts";
import { cardFactFields, factsOf } from "./card-snapshot.ts";
import { eventType } from "./event-type.ts";

/** The balance that a finished order leaves, at the time of its completion: a late delivery does not take back a newer one. */
function moneyMoved(name: string, orderType: string) {
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
      observedAt: timeIn(data),
      facts: factsOf(data),
      order: orderOf(orderType, "SUCCESS", data, context),
    }),
  );
}

export const cardRecharge = moneyMoved("card.recharge.succeeded", "recharge");
export const cardWithdraw = moneyMoved("card.withdraw.succeeded", "withdraw");
