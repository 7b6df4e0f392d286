import {
  optional,
  readFlag,
  readId,
  readInstantOrUnset,
  readStatus,
  readWord,
  required,
} from "../fields.ts";
import { eventType } from "./event-type.ts";

/**
 * A card whose number the network refuses, for the reason of its action code. What such an event does not state of
 * that, its type says.
 */
function networkProtection(name: string, isEnrolled: boolean) {
  return eventType(
    name,
    {
      card_id: required(readId),
      cardholder_id: optional(readId),
      card_scheme: optional(readWord),
      status: optional(readStatus),
      enabled: optional(readFlag),
      action_code: optional(readWord),
      update_time: optional(readInstantOrUnset),
    },
    (data, { origin }) => ({
      kind: "card-observed",
      ...origin,
      cardId: data.card_id,
      status: undefined,
      observedAt: data.update_time,
      facts: {
        cardholder_id: data.cardholder_id,
        card_scheme: data.card_scheme,
        network_protection: {
          status: data.status ?? (isEnrolled ? "ENROLLED" : "REMOVED"),
          enabled: data.enabled ?? isEnrolled,
          action_code: data.action_code ?? null,
          update_time: data.update_time ?? null,
        },
      },
    }),
  );
}

export const networkProtectionEnrolled = networkProtection(
  "card.risk_control.network_protection.enrolled",
  true,
);
export const networkProtectionRemoved = networkProtection(
  "card.risk_control.network_protection.removed",
  false,
);
