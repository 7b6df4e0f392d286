import fc from "fast-check";
import type {
  TransactionReported,
  CardEvent,
  CardholderReported,
  OrderReported,
  Facts,
} from "../../src/domain/card-event.ts";
import type { Clock } from "../../src/domain/clock.ts";
import type { Instant } from "../../src/domain/instant.ts";

/*
 * Few values of each kind, so that ties are common: a mistake in the order of clocks shows only where clocks
 * are nearly equal.
 */

export const anInstant: fc.Arbitrary<Instant> = fc.constantFrom(
  "2026-04-12T10:00:00.000000Z",
  "2026-04-12T10:00:00.000001Z",
  "2026-04-12T10:00:01.000000Z",
  "2026-04-12T11:00:00.500000Z",
) as fc.Arbitrary<Instant>;

/** Among them pairs that UTF-16 and UTF-8 order differently. */
export const anEventId: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom("a", "aa", "B", "\ue000", "\uffff", "\u{10000}", "\u{1f4b3}"),
  fc.uuid(),
);

export const aClock: fc.Arbitrary<Clock> = fc.record({
  finality: fc.nat(2),
  authority: fc.nat(1),
  at: anInstant,
  signedAt: anInstant,
  eventId: fc.constantFrom("a", "aa", "\ue000", "\u{1f4b3}"),
});

export const aStatus: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom("PRE_CANCEL", "CANCELLED", "FAILED"),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom("ACTIVE", "FROZEN", "PENDING", "BLOCKED", "NEW"),
  },
);

const anAmount = fc.constantFrom("0", "1.10", "988.5", "-3");
const aText = fc.constantFrom("x", "y", "卡");
const mccs = fc.subarray(["5734", "5999", "0742"]);

/** Of each optional part it is left open whether it is there. */
const someFacts: fc.Arbitrary<Facts> = fc
  .record(
    {
      card_number: aText,
      cardholder_id: aText,
      card_limit: anAmount,
      available_balance: anAmount,
      spending_controls: fc.constantFrom(
        [],
        [{ amount: "500", interval: "PER_TRANSACTION" }],
      ),
      rules: fc.record({
        allowed_mcc: mccs,
        blocked_mcc: mccs,
        risk_control: fc.constantFrom({}, { enable_3ds: "Y" }),
      }),
      elevated_limit: anAmount,
      network_protection: fc.constantFrom(
        { status: "ENROLLED", enabled: true },
        { status: "REMOVED", enabled: false },
      ),
      metadata: fc.constantFrom({}, { a: "b" }),
    },
    { requiredKeys: [] },
  )
  .map(({ rules, ...facts }) => ({ ...facts, ...rules }));

const origin = {
  eventId: anEventId,
  cardId: fc.constant("card-1"),
  signedAt: anInstant,
  receivedAt: anInstant,
  facts: someFacts,
};

function transactionEvent(
  transactionId: fc.Arbitrary<string>,
  transactionKind: fc.Arbitrary<string>,
): fc.Arbitrary<TransactionReported> {
  return fc.record({
    ...origin,
    kind: fc.constant("transaction-reported" as const),
    transactionId,
    transactionKind,
    happenedAt: fc.option(anInstant, { nil: undefined }),
    bookedAt: fc.option(anInstant, { nil: undefined }),
    transaction: fc.record(
      {
        transaction_status: fc.constantFrom(
          "PENDING",
          "APPROVED",
          "DECLINED",
          "NEW",
        ),
        description: fc.constantFrom("Forbid MCC from account", "limit", "ok"),
        billing_amount: anAmount,
        card_available_balance: anAmount,
        original_transaction_id: aText,
        remark: aText,
        mcc: fc.constantFrom("5734", "5999"),
        transaction_time: anInstant,
      },
      { requiredKeys: ["transaction_status"] },
    ),
  });
}

export const aTransactionEvent = transactionEvent(
  fc.constant("transaction-1"),
  fc.constant("authorization"),
);

const anOrder: fc.Arbitrary<OrderReported> = fc.record({
  orderId: fc.constant("order-1"),
  happenedAt: fc.option(anInstant, { nil: undefined }),
  facts: fc.record(
    {
      order_type: fc.constantFrom("update", "recharge"),
      order_status: fc.constantFrom("PENDING", "PROCESSING", "SUCCESS", "NEW"),
      amount: anAmount,
      currency: aText,
      reason: aText,
      completed_at: anInstant,
    },
    { requiredKeys: ["order_type", "order_status"] },
  ),
});

const aFailedOrder: fc.Arbitrary<CardEvent> = fc.record({
  eventId: anEventId,
  signedAt: anInstant,
  receivedAt: anInstant,
  kind: fc.constant("order-failed" as const),
  cardId: fc.constantFrom(undefined, "card-1", "card-2"),
  order: anOrder,
});

const anOrderThatSucceeded: fc.Arbitrary<CardEvent> = fc.record({
  ...origin,
  kind: fc.constant("card-observed" as const),
  status: fc.constant(undefined),
  observedAt: fc.constant(undefined),
  order: anOrder,
});

const aCardEvent: fc.Arbitrary<CardEvent> = fc.oneof(
  fc.record({
    ...origin,
    kind: fc.constant("status-announced" as const),
    status: aStatus,
    reason: fc.option(aText, { nil: undefined }),
    changedAt: fc.option(anInstant, { nil: undefined }),
  }),
  fc.record({
    ...origin,
    kind: fc.constant("card-observed" as const),
    status: fc.option(aStatus, { nil: undefined }),
    observedAt: fc.option(anInstant, { nil: undefined }),
  }),
  fc.record({ ...origin, kind: fc.constant("pin-blocked" as const) }),
  aTransactionEvent,
);

const withOwnIds = {
  minLength: 1,
  maxLength: 8,
  selector: (event: CardEvent) => event.eventId,
};

/** Different events about one card. */
export const cardEvents = fc.uniqueArray(aCardEvent, withOwnIds);

/** Different events about one order. */
export const orderEvents = fc.uniqueArray(
  fc.oneof(aFailedOrder, anOrderThatSucceeded),
  withOwnIds,
);

const aCardholderEvent: fc.Arbitrary<CardholderReported> = fc.record({
  eventId: anEventId,
  signedAt: anInstant,
  receivedAt: anInstant,
  kind: fc.constant("cardholder-reported" as const),
  cardId: fc.constant(undefined),
  cardholderId: fc.constant("holder-1"),
  happenedAt: fc.option(anInstant, { nil: undefined }),
  isAnnounced: fc.boolean(),
  cardholder: fc.record(
    {
      cardholder_status: fc.constantFrom("SUCCESS", "PENDING", "FAILED"),
      idv_status: fc.constantFrom("PASSED", "NEW"),
    },
    { requiredKeys: [] },
  ),
});

/** Different events about one cardholder. */
export const cardholderEvents = fc.uniqueArray(aCardholderEvent, withOwnIds);

/** Different events about one authorization. */
export const transactionEvents = fc.uniqueArray(aTransactionEvent, withOwnIds);

/** Different events about several kinds of a few transactions. */
export const eventsOfTransactions = fc.uniqueArray(
  fc
    .tuple(
      transactionEvent(
        fc.constantFrom("transaction-1", "transaction-2"),
        fc.constantFrom("authorization", "refund", "settlement.debit", "new"),
      ),
      fc.constantFrom("card-1", "card-2", undefined),
    )
    .map(([event, cardId]) => ({ ...event, cardId })),
  withOwnIds,
);

/** These events, and deliveries of them in any order: one to three copies of each, which are signed at any time. */
export function deliveriesOf<Event extends CardEvent>(
  events: fc.Arbitrary<Event[]>,
): fc.Arbitrary<{ events: Event[]; deliveries: Event[] }> {
  return events
    .chain((all) => fc.tuple(...all.map(copiesOf)))
    .chain((copies) => {
      const deliveries = copies.flat();
      return fc.record({
        events: fc.constant(copies.map(earliestOf)),
        deliveries: fc.shuffledSubarray(deliveries, {
          minLength: deliveries.length,
        }),
      });
    });
}

function copiesOf<Event extends CardEvent>(
  event: Event,
): fc.Arbitrary<Event[]> {
  return fc
    .array(anInstant, { minLength: 1, maxLength: 3 })
    .map((times) => times.map((signedAt) => ({ ...event, signedAt })));
}

function earliestOf<Event extends CardEvent>(copies: readonly Event[]): Event {
  return copies.reduce((a, b) => (b.signedAt < a.signedAt ? b : a));
}
