import { optional, readId, readObject, readText, required } from "./fields.ts";
import type { ValuesOf } from "./fields.ts";

/** The outer fields that every event has, as they are delivered. */
export const envelopeFields = {
  event_id: required(readId),
  event_type: required(readId),
  event_name: optional(readId),
  version: optional(readText),
  source_id: optional(readId),
  data: required(readObject),
};

export interface Envelope {
  readonly eventId: string;
  readonly eventType: string;
  /** The category, `ISSUING` in almost all events. */
  readonly eventName: string | undefined;
  readonly version: string | undefined;
  /** Order, card or transaction id, depending on the type; missing in some of UQPAY's own examples. */
  readonly sourceId: string | undefined;
}

/**
 * V1.5.2's overview and the Node SDK up to 0.3.1 have the two names the other way round: the category under
 * `event_type`. A type has dots, a category has none.
 */
export function toEnvelope(fields: ValuesOf<typeof envelopeFields>): Envelope {
  const { event_type: type, event_name: name } = fields;
  const areSwapped = name?.includes(".") === true && !type.includes(".");
  return {
    eventId: fields.event_id,
    eventType: areSwapped ? name : type,
    eventName: areSwapped ? type : name,
    version: fields.version,
    sourceId: fields.source_id,
  };
}
