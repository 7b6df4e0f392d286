import {
  optional,
  readId,
  readInstantOrUnset,
  readStatus,
  required,
} from "../fields.ts";
import type { EventType } from "./event-type.ts";
import { eventType } from "./event-type.ts";

/** Of all that UQPAY tells of a person only these fields are read, and only these wait until the event is applied. */
function cardholderType(name: string, isAnnounced: boolean): EventType {
  return {
    ...eventType(
      name,
      {
        cardholder_id: required(readId),
        cardholder_status: optional(readStatus),
        idv_status: optional(readStatus),
        update_time: optional(readInstantOrUnset),
      },
      (data, { origin }) => ({
        kind: "cardholder-reported",
        ...origin,
        cardId: undefined,
        cardholderId: data.cardholder_id,
        happenedAt: data.update_time,
        isAnnounced,
        cardholder: {
          cardholder_status: data.cardholder_status,
          idv_status: data.idv_status,
        },
      }),
    ),
    leavesCardAlone: true,
    isPersonal: true,
  };
}

export const cardholderStatus = cardholderType(
  "cardholder.kyc.status_changed",
  true,
);
export const cardholderUpdate = cardholderType("cardholder.updated", false);
