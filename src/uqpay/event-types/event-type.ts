import type { CardEvent } from "../../domain/card-event.ts";
import type { Instant } from "../../domain/instant.ts";
import type { Fields, Issue, ValuesOf } from "../fields.ts";
import { optionalNames, readFields } from "../fields.ts";

/** What the envelope and the delivery say of an event, beside its data. */
export interface EventContext {
  readonly origin: {
    readonly eventId: string;
    readonly signedAt: Instant;
    readonly receivedAt: Instant;
  };
  readonly eventType: string;
  readonly sourceId: string | undefined;
}

/** How one of UQPAY's event types becomes an event of ours. */
export interface EventType {
  readonly name: string;
  /** All that are read, by their names in `data`. */
  readonly fieldNames: readonly string[];
  /** Those that never refuse an event, by their paths in the delivered JSON. */
  readonly optionalFields: readonly string[];
  /** It may name a card, and says nothing of it. */
  readonly leavesCardAlone?: true;
  /** It tells of a person: nothing but the fields that are read is kept, and these only until the event is applied. */
  readonly isPersonal?: true;
  readonly decode: (
    data: Readonly<Record<string, unknown>>,
    context: EventContext,
  ) =>
    | {
        /** Undefined where the type has no handler. */
        readonly event: CardEvent | undefined;
        /** Optional fields that cannot be read, by their paths in the delivered JSON. */
        readonly unreadable: readonly Issue[];
      }
    | { readonly issues: readonly Issue[] };
}

/**
 * @param fields strict on what a rule needs (`required`), lenient on all else (`optional`)
 * @param translate from UQPAY's fields to our words; total, since the fields have been read
 */
export function eventType<Shape extends Fields>(
  name: string,
  fields: Shape,
  translate: (
    data: ValuesOf<Shape>,
    context: EventContext,
  ) => CardEvent | undefined,
): EventType {
  return {
    name,
    fieldNames: Object.keys(fields),
    optionalFields: optionalNames(fields).map((field) => `data.${field}`),
    decode: (data, context) => {
      const read = readFields(fields, data, "data.");
      if ("issues" in read) return read;
      const event = translate(read.values, context);
      return { event, unreadable: read.unreadable };
    },
  };
}
