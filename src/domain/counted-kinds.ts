import type { CardEvent } from "./card-event.ts";

/** The kinds of transactions of merchants, terminals and networks that UQPAY's pages name. */
export const TRANSACTION_KINDS = [
  "authorization",
  "reversal",
  "refund",
  "settlement.credit",
  "settlement.debit",
  "settlement.reversal",
  "fund.collection",
  "fund.transfer",
  "validation",
  "atm.deposit",
  "chargeback.credit",
  "chargeback.debit",
];

/** Of transactions that UQPAY charges. */
export const FEE_KINDS = { card: "fee", network: "network_protection_fee" };

const COUNTED = new Map(
  [...TRANSACTION_KINDS, ...Object.values(FEE_KINDS)].map((kind) => [
    kind,
    `${kind.replaceAll(/[._]/g, "-")}-reported`,
  ]),
);

/**
 * As what an event is counted: a transaction as its own kind. A kind that UQPAY adds is one of any kind, since it must
 * not make a series that was not there before.
 */
export function countedKindOf(event: CardEvent): string {
  if (event.kind !== "transaction-reported") return event.kind;
  return COUNTED.get(event.transactionKind) ?? event.kind;
}

export const COUNTED_KINDS: readonly string[] = [
  ...Object.keys({
    "status-announced": true,
    "card-observed": true,
    "pin-blocked": true,
    "order-failed": true,
    "cardholder-reported": true,
    "transaction-reported": true,
  } satisfies Record<CardEvent["kind"], true>),
  ...COUNTED.values(),
];
