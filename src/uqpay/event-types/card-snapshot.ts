import type { Facts } from "../../domain/card-event.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Reader, ValuesOf } from "../fields.ts";
import {
  listOf,
  objectOf,
  optional,
  orAbsent,
  readAmount,
  readGluedAmount,
  readId,
  readJsonObject,
  readMcc,
  readWord,
} from "../fields.ts";

/*
 * A card as creation and update events show it. The same facts come under two names each: the webhook pages,
 * the REST examples and the changelog differ (domain: create says spending_limits, update spending_controls).
 */

/** REST examples have `[]` in place of an object that says nothing. */
function orEmptyList<Value>(read: Reader<Value>): Reader<Value | undefined> {
  return (input) => (isEmptyList(input) ? undefined : read(input));
}

function isEmptyList(input: unknown): boolean {
  return Array.isArray(input) && input.length === 0;
}

/** So many codes there are. */
const MOST_MCCS = 10_000;

const readMccs = listOf(
  orAbsent(readMcc),
  MOST_MCCS,
  "must be a list of merchant category codes",
);

const readMccLists = objectOf({ allowed_mcc: readMccs, blocked_mcc: readMccs });

/** The object is kept as it was delivered, and its two lists are read out of it. */
function readRiskControl(input: unknown): Facts {
  const risk_control = readJsonObject(input);
  const { allowed_mcc, blocked_mcc } = readMccLists(input);
  return {
    allowed_mcc: statedMccs(allowed_mcc),
    blocked_mcc: statedMccs(blocked_mcc),
    risk_control,
  };
}

/** REST shows the unused one of the two lists as null. */
function statedMccs(codes: readonly (string | undefined)[] = []): string[] {
  return codes.filter((code) => code !== undefined);
}

const readAmountAndInterval = objectOf({
  amount: readAmount,
  interval: readWord,
});

/** Kept as it was delivered, but for its amount and its interval. */
function readSpendingControl(input: unknown): JsonObject {
  const { amount: _, interval: __, ...others } = readJsonObject(input);
  const { amount, interval } = readAmountAndInterval(input);
  return {
    ...others,
    ...(amount !== undefined && { amount }),
    ...(interval !== undefined && { interval }),
  };
}

/** There are five intervals, and one of them works (spending-controls guide). */
const MOST_CONTROLS = 100;

const readSpendingControls = listOf(
  readSpendingControl,
  MOST_CONTROLS,
  "must be a list",
);

/** `{"": ""}` is how one real payload writes "no metadata", and REST has `[]`. */
function readMetadata(input: unknown): JsonObject {
  const { "": unnamed, ...named } = readJsonObject(
    isEmptyList(input) ? {} : input,
  );
  return unnamed === undefined || unnamed === ""
    ? named
    : { ...named, "": unnamed };
}

const readCardholder = objectOf({ cardholder_id: readId });

/** What may be said of a card besides its id and status, by the names of the wire. */
export const cardFactFields = {
  card_number: optional(readWord),
  card_bin: optional(readWord),
  card_scheme: optional(readWord),
  card_product_id: optional(readId),
  cardholder_id: optional(readId),
  cardholder: optional(orEmptyList(readCardholder)),
  card_currency: optional(readWord),
  currency: optional(readWord),
  mode_type: optional(readWord),
  form_factor: optional(readWord),
  card_limit: optional(readAmount),
  available_balance: optional(readAmount),
  card_available_balance: optional(readAmount),
  no_pin_payment_amount: optional(readGluedAmount),
  spending_controls: optional(readSpendingControls),
  spending_limits: optional(readSpendingControls),
  risk_control: optional(orEmptyList(readRiskControl)),
  risk_controls: optional(orEmptyList(readRiskControl)),
  metadata: optional(readMetadata),
};

/**
 * The facts of a snapshot, by the columns of `cards`; of two names that can both be read the webhook's own wins. The
 * two lists of the risk controls have columns of their own.
 */
export function factsOf(snapshot: ValuesOf<typeof cardFactFields>): Facts {
  return {
    card_number: snapshot.card_number,
    card_bin: snapshot.card_bin,
    card_scheme: snapshot.card_scheme,
    card_product_id: snapshot.card_product_id,
    cardholder_id: snapshot.cardholder?.cardholder_id ?? snapshot.cardholder_id,
    card_currency: snapshot.card_currency ?? snapshot.currency,
    mode_type: snapshot.mode_type,
    form_factor: snapshot.form_factor,
    card_limit: snapshot.card_limit,
    available_balance:
      snapshot.available_balance ?? snapshot.card_available_balance,
    no_pin_payment_amount: snapshot.no_pin_payment_amount,
    spending_controls: snapshot.spending_controls ?? snapshot.spending_limits,
    metadata: snapshot.metadata,
    ...(snapshot.risk_control ?? snapshot.risk_controls),
  };
}
