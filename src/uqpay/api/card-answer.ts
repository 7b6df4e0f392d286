import type { Facts } from "../../domain/card-event.ts";
import type { JsonObject } from "../../domain/json.ts";
import { cardFactFields, factsOf } from "../event-types/card-snapshot.ts";
import type { Issue } from "../fields.ts";
import {
  isObject,
  optional,
  readAmount,
  readId,
  readObject,
  readStatus,
  readText,
  required,
} from "../fields.ts";
import { fromJsonText, statedMembers } from "./stated.ts";
import { readAnswer } from "./read-answer.ts";

/** A card as an answer of UQPAY's API shows it. What is undefined is not stated. */
export interface CardReading {
  readonly cardId: string;
  readonly status: string | undefined;
  /** Of the latest change of its status. */
  readonly statusReason: string | undefined;
  /** Columns of `cards`. */
  readonly facts: Facts;
  /** Fields that could not be read: they count as not stated. */
  readonly unreadable: readonly Issue[];
}

const fields = {
  ...cardFactFields,
  card_id: required(readId),
  card_status: optional(readStatus),
  update_reason: optional(readText),
  consumed_amount: optional(readAmount),
};

/**
 * Reads a card, retrieved or listed. A list has neither spending_controls nor no_pin_payment_amount. Of the cardholder
 * only the id is read.
 *
 * @throws Unreadable where it has no id
 */
export function readCard(json: unknown): CardReading {
  const { values, unreadable } = readAnswer(fields, json, statedOf);
  return {
    cardId: values.card_id,
    status: values.card_status,
    statusReason: values.update_reason,
    facts: {
      ...factsOf(values),
      metadata: orNotStated(values.metadata),
      ...mccListsOf(readObject(json), factsOf(values)),
      consumed_amount: values.consumed_amount,
    },
    unreadable,
  };
}

/** One name for the risk controls, in which null is not stated either. */
function statedOf(card: Readonly<Record<string, unknown>>) {
  const stated = statedMembers(card);
  const { risk_control: _, ...others } = stated;
  return statedMembers({
    ...others,
    risk_controls: riskControlsOf(stated),
    metadata: fromJsonText(stated["metadata"]),
  });
}

function riskControlsOf(card: Readonly<Record<string, unknown>>): unknown {
  const controls = card["risk_controls"] ?? card["risk_control"];
  return isObject(controls) ? statedMembers(controls) : controls;
}

/** `{"": ""}` is written for none, too, and its reader leaves nothing of it. */
function orNotStated(metadata: JsonObject | undefined) {
  return Object.keys(metadata ?? {}).length > 0 ? metadata : undefined;
}

/**
 * A webhook that names one list means that the other is empty. In an answer null is not stated; but a card has one list
 * or the other (spending-controls guide), so one with codes in it states that the other is empty.
 */
function mccListsOf(
  card: Readonly<Record<string, unknown>>,
  facts: Facts,
): Facts {
  const controls = riskControlsOf(statedMembers(card));
  const stated = (name: "allowed_mcc" | "blocked_mcc") =>
    isObject(controls) && Array.isArray(controls[name])
      ? (facts[name] as readonly string[] | undefined)
      : undefined;
  const [allowed, blocked] = [stated("allowed_mcc"), stated("blocked_mcc")];
  return {
    allowed_mcc: allowed ?? (blocked?.length ? [] : undefined),
    blocked_mcc: blocked ?? (allowed?.length ? [] : undefined),
  };
}
