import { z } from "zod";
import type {
  CardFacts,
  RiskControl,
  SpendingControl,
} from "../../domain/card.ts";
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
  (lists, delivered): RiskControl => ({
    allowedMcc: statedMccs(lists.allowed_mcc),
    blockedMcc: statedMccs(lists.blocked_mcc),
    delivered,
  }),
);

/** There are five intervals, and one of them works (spending-controls guide). */
const MOST_CONTROLS = 100;

const readSpendingControl = readKept(
  z.object({ amount: part(readAmount), interval: part(readWord) }),
  ({ amount, interval }, delivered): SpendingControl => ({
    ...Object.fromEntries(
      Object.entries(delivered).filter(
        ([name]) => name !== "amount" && name !== "interval",
      ),
    ),
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

/** The facts of a snapshot under one name each; of two names that can both be read the webhook's own wins. */
export function factsOf(snapshot: CardSnapshot): CardFacts {
  return {
    cardNumber: snapshot.card_number,
    cardBin: snapshot.card_bin,
    cardScheme: snapshot.card_scheme,
    cardProductId: snapshot.card_product_id,
    cardholderId: snapshot.cardholder?.cardholder_id ?? snapshot.cardholder_id,
    cardCurrency: snapshot.card_currency ?? snapshot.currency,
    modeType: snapshot.mode_type,
    formFactor: snapshot.form_factor,
    cardLimit: snapshot.card_limit,
    availableBalance:
      snapshot.available_balance ?? snapshot.card_available_balance,
    noPinPaymentAmount: snapshot.no_pin_payment_amount,
    spendingControls: snapshot.spending_controls ?? snapshot.spending_limits,
    riskControl: snapshot.risk_control ?? snapshot.risk_controls,
    metadata: snapshot.metadata,
  };
}
