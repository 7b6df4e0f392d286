import { z } from "zod";
import type { Issue, Reading } from "./fields.ts";
import {
  isObject,
  optional,
  readId,
  readText,
  readWith,
  required,
  statedIn,
} from "./fields.ts";

/** The outer fields that every event has. */
export interface Envelope {
  readonly eventId: string;
  readonly eventType: string;
  /** The category, `ISSUING` in almost all events. */
  readonly eventName: string | undefined;
  readonly version: string | undefined;
  /** Order, card or transaction id, depending on the type; missing in some of UQPAY's own examples. */
  readonly sourceId: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;
}

const schema = z.object(
  {
    event_id: required(readId),
    event_type: required(readId),
    event_name: optional(readId),
    version: optional(readText),
    source_id: optional(readId),
    data: required((input) =>
      isObject(input) ? { value: input } : { fault: "must be an object" },
    ),
  },
  { error: "must be an object" },
);

/** What of it never refuses an event. */
export const optionalEnvelopeFields: readonly string[] = Object.entries(
  schema.shape,
)
  .filter(([, field]) => field instanceof z.ZodOptional)
  .map(([name]) => name);

const readFields = readWith(schema);

/** Reads the envelope of either order of names, and says what of it cannot be read. */
export function readEnvelope(delivered: unknown): Reading<{
  readonly envelope: Envelope;
  readonly unreadable: readonly Issue[];
}> {
  const reading = readFields(delivered);
  if (!("value" in reading)) return reading;
  const { fields, unreadable } = statedIn(reading.value, []);
  const envelope = {
    ...inOrder(fields.event_type, fields.event_name),
    eventId: fields.event_id,
    version: fields.version,
    sourceId: fields.source_id,
    data: fields.data,
  };
  return { value: { envelope, unreadable } };
}

/**
 * V1.5.2's overview and the Node SDK up to 0.3.1 have the two names the other way round: the category under
 * `event_type`. A type has dots, a category has none.
 */
function inOrder(eventType: string, eventName: string | undefined) {
  const areSwapped =
    eventName?.includes(".") === true && !eventType.includes(".");
  return areSwapped
    ? { eventType: eventName, eventName: eventType }
    : { eventType, eventName };
}
