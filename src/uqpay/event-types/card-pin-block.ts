import { readId, required } from "../fields.ts";
import { eventType } from "./event-type.ts";

/** The one published example has the older mask of a number, a company's name and a purchase: none of it says more of the card. */
export const cardPinBlock = eventType(
  "card.PIN.retry.exceed.soft.block",
  { card_id: required(readId) },
  (data, { origin }) => ({
    kind: "pin-blocked",
    ...origin,
    cardId: data.card_id,
    facts: {},
  }),
);
