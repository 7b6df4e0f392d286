import { expect, test } from "@jest/globals";
import { ownTimeOf } from "../../../src/domain/card-event.ts";
import { at } from "../../support/events.ts";

const signedAt = at("10:00:00");
const origin = { eventId: "event-1", signedAt, receivedAt: signedAt };

test("a PIN block has no time of its own", () => {
  const ownTime = ownTimeOf({
    kind: "pin-blocked",
    ...origin,
    cardId: "card-1",
    facts: {},
  });

  expect(ownTime).toBeUndefined();
});

test("an order that failed has the time of its end, where it says one", () => {
  const failed = { kind: "order-failed", ...origin } as const;
  const happenedAt = at("09:00:00");
  const order = { orderId: "order-1", happenedAt, facts: {} };

  expect(ownTimeOf({ ...failed, cardId: undefined, order })).toBe(happenedAt);
  expect(
    ownTimeOf({ ...failed, cardId: undefined, order: undefined }),
  ).toBeUndefined();
});
