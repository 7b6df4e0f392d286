import type { OrderReported } from "../../domain/card-event.ts";
import type { Instant } from "../../domain/instant.ts";
import type { ValuesOf } from "../fields.ts";
import {
  optional,
  readAmount,
  readId,
  readInstantOrUnset,
  readStatus,
  readText,
  readWord,
} from "../fields.ts";
import type { EventContext } from "./event-type.ts";

/** What may be said of an order, by the names of the wire. No example of a failed one is published. */
export const orderFields = {
  card_order_id: optional(readId),
  order_status: optional(readStatus),
  amount: optional(readAmount),
  card_currency: optional(readWord),
  currency: optional(readWord),
  failure_reason: optional(readText),
  failure_code: optional(readWord),
  reason: optional(readText),
  description: optional(readText),
  complete_time: optional(readInstantOrUnset),
  update_time: optional(readInstantOrUnset),
};

/** `.succeeded` or `.failed`, where the order itself states no status. */
type Outcome = "SUCCESS" | "FAILED";

/** Why it failed, by the first of the names that are stated. */
export function reasonIn(
  data: ValuesOf<typeof orderFields>,
): string | undefined {
  return (
    data.failure_reason ?? data.failure_code ?? data.reason ?? data.description
  );
}

/** When it was done, or found to fail. */
export function timeIn(
  data: ValuesOf<typeof orderFields>,
): Instant | undefined {
  return data.complete_time ?? data.update_time;
}

/**
 * The order that an event ends: the envelope's source_id names it, else the data.
 *
 * @param otherwise what stands in for fields that a type has under names of its own
 * @returns undefined where neither does
 */
export function orderOf(
  order_type: string,
  outcome: Outcome,
  data: ValuesOf<typeof orderFields>,
  { sourceId }: EventContext,
  otherwise: {
    readonly amount?: string;
    readonly happenedAt?: Instant | undefined;
  } = {},
): OrderReported | undefined {
  const orderId = sourceId ?? data.card_order_id;
  const amount = data.amount ?? otherwise.amount;
  if (orderId === undefined) return undefined;
  return {
    orderId,
    happenedAt: timeIn(data) ?? otherwise.happenedAt,
    facts: {
      order_type,
      order_status: data.order_status ?? outcome,
      amount,
      currency:
        amount === undefined
          ? undefined
          : (data.card_currency ?? data.currency),
      reason: reasonIn(data),
      completed_at: data.complete_time,
    },
  };
}
