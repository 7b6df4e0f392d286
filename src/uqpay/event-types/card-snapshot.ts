import { z } from "zod";
import type { Facts } from "../../domain/card-event.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Reading, Stated } from "../fields.ts";
import {
  listOf,
  optional,
  orAbsent,
  part,
  readAmount,
  readGluedAmount,
  readId,
  readJsonObject,
  readMcc,
  readWith,
  readWord,
} from "../fields.ts";

/*
 * A card as creation and update events show it. The same facts come under two names each: the webhook pages,
 * the REST examples and the changelog differ (domain: create says spending_limits, update spending_controls).
 */

/** REST examples have `[]` in place of an object that says nothing. */
function orEmptyList<Value>(read: (input: unknown) => Reading<Value>) {
  return (input: unknown): Reading<Value | undefined> =>
    isEmptyList(input) ? { value: undefined } : read(input);
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

/** REST shows the unused one of the two lists as null. */
function statedMccs(codes: readonly (string | undefined)[] = []): string[] {
  return codes.filter((code) => code !== undefined);
}

/** The object is kept as it was delivered, and its two lists are read out of it. */
const readRiskControl = readKept(
  z.object({ allowed_mcc: part(readMccs), blocked_mcc: part(readMccs) }),
  (lists, delivered) => ({
    allowed_mcc: statedMccs(lists.allowed_mcc),
    blocked_mcc: statedMccs(lists.blocked_mcc),
    risk_control: delivered,
  }),
);

/** There are five intervals, and one of them works (spending-controls guide). */
const MOST_CONTROLS = 100;

const readSpendingControl = readKept(
  z.object({ amount: part(readAmount), interval: part(readWord) }),
  (
    { amount, interval },
    { amount: _, interval: __, ...others },
  ): JsonObject => ({
    ...others,
    ...(amount !== undefined && { amount }),
    ...(interval !== undefined && { interval }),
  }),
);

const readSpendingControls = listOf(
  readSpendingControl,
  MOST_CONTROLS,
  "must be a list",
);

/** An object of which some fields are read, and the others kept as they came. */
function readKept<Shape extends z.ZodType, Value>(
  shape: Shape,
  build: (fields: z.output<Shape>, delivered: JsonObject) => Value,
) {
  const readShape = readWith(shape);
  return (input: unknown): Reading<Value> => {
    const delivered = readJsonObject(input);
    if (!("value" in delivered)) return delivered;
    const fields = readShape(input);
    return "value" in fields
      ? { value: build(fields.value, delivered.value) }
      : fields;
  };
}

/** `{"": ""}` is how one real payload writes "no metadata", and REST has `[]`. */
function readMetadata(input: unknown): Reading<JsonObject> {
  const object = readJsonObject(isEmptyList(input) ? {} : input);
  if (!("value" in object) || object.value[""] !== "") return object;
  const pairs = Object.entries(object.value).filter(([key]) => key !== "");
  return { value: Object.fromEntries(pairs) };
}

const readCardholder = readWith(
  z.object({ cardholder_id: part(readId) }, { error: "must be an object" }),
);

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

type CardSnapshot = Stated<z.output<z.ZodObject<typeof cardFactFields>>>;

/**
 * The facts of a snapshot, by the columns of `cards`; of two names that can both be read the webhook's own wins. The
 * two lists of the risk controls have columns of their own.
 */
export function factsOf(snapshot: CardSnapshot): Facts {
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
