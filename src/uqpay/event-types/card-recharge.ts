import {
  optional,
  readId,
  readInstantOrUnset,
  readStatus,
  required,
} from "../fields.ts";
import { cardFactFields, factsOf } from "./card-snapshot.ts";
import { eventType } from "./event-type.ts";

/** The balance that a finished order leaves, at the time of its completion: a late delivery does not take back a newer one. */
function moneyMoved(name: string) {
  return eventType(
    name,
    {
      ...cardFactFields,
      card_id: required(readId),
      card_status: optional(readStatus),
      complete_time: optional(readInstantOrUnset),
      update_time: optional(readInstantOrUnset),
    },
    (data, { origin }) => ({
      kind: "card-observed",
      ...origin,
      cardId: data.card_id,
      status: data.card_status,
      observedAt: data.complete_time ?? data.update_time,
      facts: factsOf(data),
    }),
  );
}

export const cardRecharge = moneyMoved("card.recharge.succeeded");
export const cardWithdraw = moneyMoved("card.withdraw.succeeded");
