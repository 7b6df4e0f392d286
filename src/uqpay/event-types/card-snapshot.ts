import { z } from "zod";
import type {
  CardFacts,
  RiskControl,
  SpendingControl,
} from "../../domain/card.ts";
import type { JsonObject } from "../../domain/json.ts";
import { compileSchema } from "../compile-schema.ts";
import {
  listOf,
  optional,
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

/** REST examples have `null`, `""` and `[]` in place of an object that says nothing. */
function optionalObject<Shape extends z.ZodType>(shape: Shape) {
  return z.preprocess(
    (input) => (isEmptyList(input) ? undefined : unset(input)),
    shape.optional(),
  );
}

function optionalList<Shape extends z.ZodType>(shape: Shape) {
  return z.preprocess(unset, shape.optional());
}

function unset(input: unknown): unknown {
  return input === null || input === "" ? undefined : input;
}

function isEmptyList(input: unknown): boolean {
  return Array.isArray(input) && input.length === 0;
}

/** So many codes there are. */
const MOST_MCCS = 10_000;

/** REST shows the unused one of the two lists as null. */
const mccList = z.preprocess(
  (input) => unset(input) ?? [],
  listOf(
    optional(readMcc),
    MOST_MCCS,
    "must be a list of merchant category codes",
  ).transform((codes) => codes.filter((code) => code !== undefined)),
);

const mccLists = z.object({ allowed_mcc: mccList, blocked_mcc: mccList });

/** The object is kept as it was delivered, and its two lists are read out of it. */
const riskControl = keptObject(mccLists, (lists, delivered): RiskControl => ({
  allowedMcc: lists.allowed_mcc,
  blockedMcc: lists.blocked_mcc,
  delivered,
}));

/** There are five intervals, and one of them works (spending-controls guide). */
const MOST_CONTROLS = 100;

const spendingControl = keptObject(
  z.object({ amount: optional(readAmount), interval: optional(readWord) }),
  // Nearly all are in our form as they come.
  ({ amount, interval }, delivered): SpendingControl =>
    delivered["amount"] === amount && delivered["interval"] === interval
      ? (delivered as SpendingControl)
      : {
          ...Object.fromEntries(
            Object.entries(delivered).filter(
              ([name]) => name !== "amount" && name !== "interval",
            ),
          ),
          ...(amount !== undefined && { amount }),
          ...(interval !== undefined && { interval }),
        },
);

const spendingControls = listOf(
  spendingControl,
  MOST_CONTROLS,
  "must be a list",
);

/** An object of which some fields are read, and the others kept as `jsonb` can hold them. */
function keptObject<Shape extends z.ZodType, Value>(
  shape: Shape,
  build: (fields: z.output<Shape>, delivered: JsonObject) => Value,
) {
  const compiled = compileSchema(shape);
  return z.unknown().transform((input, context): Value => {
    const delivered = readJsonObject(input);
    if ("fault" in delivered) {
      context.addIssue({ code: "custom", message: delivered.fault });
      return z.NEVER;
    }
    const fields = compiled.safeParse(input);
    if (fields.success) return build(fields.data, delivered.value);
    for (const { path, message } of fields.error.issues) {
      context.addIssue({ code: "custom", path, message });
    }
    return z.NEVER;
  });
}

/** `{"": ""}` is how one real payload writes "no metadata". */
const metadata = optional(readJsonObject).transform((object) =>
  object?.[""] === ""
    ? Object.fromEntries(Object.entries(object).filter(([key]) => key !== ""))
    : object,
);

const cardholder = z.object(
  { cardholder_id: optional(readId) },
  { error: "must be an object" },
);

/** What may be said of a card besides its id and status, by the names of the wire. */
export const cardFactFields = {
  card_number: optional(readWord),
  card_bin: optional(readWord),
  card_scheme: optional(readWord),
  card_product_id: optional(readId),
  cardholder_id: optional(readId),
  cardholder: optionalObject(cardholder),
  card_currency: optional(readWord),
  currency: optional(readWord),
  mode_type: optional(readWord),
  form_factor: optional(readWord),
  card_limit: optional(readAmount),
  available_balance: optional(readAmount),
  card_available_balance: optional(readAmount),
  no_pin_payment_amount: optional(readGluedAmount),
  spending_controls: optionalList(spendingControls),
  spending_limits: optionalList(spendingControls),
  risk_control: optionalObject(riskControl),
  risk_controls: optionalObject(riskControl),
  metadata: z.preprocess(
    (input) => (isEmptyList(input) ? {} : input),
    metadata,
  ),
};

type CardSnapshot = z.output<z.ZodObject<typeof cardFactFields>>;

/** The facts of a snapshot under one name each; of two names that are both there the webhook's own wins. */
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
