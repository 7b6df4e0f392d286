import { z } from "zod";
import type { CardEvent } from "../../domain/card-event.ts";
import type { Instant } from "../../domain/instant.ts";
import type { Issue, Stated } from "../fields.ts";
import { issuesOf, statedIn } from "../fields.ts";

/** What the envelope and the delivery say of an event, beside its data. */
export interface EventContext {
  readonly eventId: string;
  readonly sourceId: string | undefined;
  readonly signedAt: Instant;
  readonly receivedAt: Instant;
}

export type DecodedData =
  | {
      readonly success: true;
      readonly event: CardEvent;
      /** Optional fields that cannot be read, by their paths in the delivered JSON. */
      readonly unreadable: readonly Issue[];
    }
  | { readonly success: false; readonly issues: readonly Issue[] };

/** How one of UQPAY's event types becomes an event of ours. */
export interface EventType {
  readonly name: string;
  /** Those that never refuse an event, by their paths in the delivered JSON. */
  readonly optionalFields: readonly string[];
  readonly decode: (data: unknown, context: EventContext) => DecodedData;
}

const PARENT = "data";

/**
 * @param schema strict on what a rule needs (`required`), lenient on all else (`optional`)
 * @param translate from UQPAY's fields to our words; total, since the schema has checked them
 */
export function eventType<Schema extends z.ZodObject>(
  name: string,
  schema: Schema,
  translate: (
    data: Stated<z.output<Schema>>,
    context: EventContext,
  ) => CardEvent,
): EventType {
  return {
    name,
    optionalFields: Object.entries(schema.shape)
      .filter(([, field]) => field instanceof z.ZodOptional)
      .map(([field]) => `${PARENT}.${field}`),
    decode: (data, context) => {
      const parsed = schema.safeParse(data);
      if (!parsed.success) {
        const issues = issuesOf(parsed.error.issues, [PARENT]);
        return { success: false, issues };
      }
      const { fields, unreadable } = statedIn(parsed.data, [PARENT]);
      return { success: true, event: translate(fields, context), unreadable };
    },
  };
}
