import type { Instant } from "../../domain/instant.ts";
import type { Issue } from "../fields.ts";
import {
  optional,
  readAmount,
  readId,
  readInstantOrUnset,
  readStatus,
  readText,
  readWord,
  required,
} from "../fields.ts";
import { readAnswer } from "./read-answer.ts";

/** An order about a card, as an answer of UQPAY's API shows it. What is undefined is not stated. */
export interface CardOrderReading {
  readonly orderId: string;
  readonly cardId: string | undefined;
  /** In UQPAY's words, of which there are several for one thing: CARD_CREATE and CREATE_CARD. */
  readonly orderType: string | undefined;
  /** PENDING, PROCESSING, SUCCESS, FAILED. */
  readonly orderStatus: string | undefined;
  readonly amount: string | undefined;
  readonly currency: string | undefined;
  readonly reason: string | undefined;
  readonly createdAt: Instant | undefined;
  readonly updatedAt: Instant | undefined;
  readonly completedAt: Instant | undefined;
  /** Fields that could not be read: they count as not stated. */
  readonly unreadable: readonly Issue[];
}

const fields = {
  card_order_id: required(readId),
  card_id: optional(readId),
  order_type: optional(readWord),
  order_status: optional(readStatus),
  amount: optional(readAmount),
  card_currency: optional(readWord),
  failure_code: optional(readText),
  failure_reason: optional(readText),
  create_time: optional(readInstantOrUnset),
  update_time: optional(readInstantOrUnset),
  complete_time: optional(readInstantOrUnset),
};

/** @throws Unreadable where it has no id */
export function readCardOrder(json: unknown): CardOrderReading {
  const { values, unreadable } = readAnswer(fields, json);
  return {
    orderId: values.card_order_id,
    cardId: values.card_id,
    orderType: values.order_type,
    orderStatus: values.order_status,
    amount: values.amount,
    currency: values.card_currency,
    reason: values.failure_reason ?? values.failure_code,
    createdAt: values.create_time,
    updatedAt: values.update_time,
    completedAt: values.complete_time,
    unreadable,
  };
}
