import type { z } from "zod";
import type { CardEvent } from "../../domain/card-event.ts";
import type { Instant } from "../../domain/instant.ts";
import { compileSchema } from "../compile-schema.ts";

/** What the envelope and the delivery say of an event, beside its data. */
export interface EventContext {
  readonly eventId: string;
  readonly sourceId: string | undefined;
  readonly signedAt: Instant;
  readonly receivedAt: Instant;
}

export type DecodedData =
  | { readonly success: true; readonly event: CardEvent }
  | { readonly success: false; readonly error: z.ZodError };

/** How one of UQPAY's event types becomes an event of ours. */
export interface EventType {
  readonly name: string;
  readonly decode: (data: unknown, context: EventContext) => DecodedData;
}

/**
 * @param schema lenient on what UQPAY varies, strict on what a rule needs
 * @param translate from UQPAY's fields to our words; total, since the schema has checked them
 */
export function eventType<Schema extends z.ZodType>(
  name: string,
  schema: Schema,
  translate: (data: z.output<Schema>, context: EventContext) => CardEvent,
): EventType {
  const compiled = compileSchema(schema);
  return {
    name,
    decode: (data, context) => {
      const parsed = compiled.safeParse(data);
      return parsed.success
        ? { success: true, event: translate(parsed.data, context) }
        : { success: false, error: parsed.error };
    },
  };
}
