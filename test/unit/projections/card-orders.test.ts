import { expect, test } from "@jest/globals";
import { cardOrders } from "../../../src/projections/card-orders.ts";
import { cards } from "../../../src/projections/cards.ts";
import { statementsIn } from "../../../src/projections/rows.ts";
import {
  aCardObserved,
  aStatusAnnounced,
  aTransactionReported,
  anOrderFailed,
  at,
  rowAfter,
} from "../../support/events.ts";

test("an order that failed has its row, and changes no card", () => {
  const event = anOrderFailed({
    happenedAt: at("10:00:00"),
    facts: {
      order_type: "recharge",
      amount: "200",
      currency: "USD",
      reason: "no funds",
      completed_at: at("10:00:00"),
    },
  });

  expect(rowAfter(cardOrders, [event])).toEqual({
    order_id: "order-1",
    card_id: null,
    order_type: "recharge",
    order_status: "FAILED",
    amount: "200",
    currency: "USD",
    reason: "no funds",
    completed_at: at("10:00:00"),
    event_id: "event-1",
    first_seen_at: at("10:00:00"),
    field_clocks: expect.objectContaining({
      amount: {
        event_id: "event-1",
        at: at("10:00:00"),
        signed_at: at("10:00:00"),
        finality: 1,
      },
    }) as unknown,
  });
  expect(statementsIn(cards, [event, { ...event, cardId: "card-1" }])).toEqual(
    [],
  );
});

test.each(["PENDING", "PROCESSING"])(
  "%s never replaces an outcome, however late it is",
  (status) => {
    const row = rowAfter(cardOrders, [
      anOrderFailed(
        { happenedAt: at("10:00:00"), facts: { reason: "no funds" } },
        { eventId: "outcome", cardId: "card-1" },
      ),
      anOrderFailed(
        {
          happenedAt: at("11:00:00"),
          facts: { order_status: status, reason: "wait", amount: "5" },
        },
        { eventId: "late" },
      ),
    ]);

    expect(row).toMatchObject({
      card_id: "card-1",
      order_status: "FAILED",
      reason: "no funds",
      amount: "5",
      event_id: "outcome",
      first_seen_at: at("10:00:00"),
    });
  },
);

test("a success stands beside what it says of its card", () => {
  const order = {
    orderId: "order-1",
    happenedAt: undefined,
    facts: { order_type: "update", order_status: "SUCCESS" },
  };

  const row = rowAfter(cardOrders, [aCardObserved({ order })]);

  expect(row).toMatchObject({ card_id: "card-1", order_status: "SUCCESS" });
});

test("what is no order, or one without a name, says nothing of any", () => {
  const events = [
    aStatusAnnounced(),
    aCardObserved({ order: undefined }),
    aTransactionReported(),
  ];

  expect(statementsIn(cardOrders, events)).toEqual([]);
});
