import { describe, expect, test } from "@jest/globals";
import { toCents } from "../../../dev/simulator/cards.ts";
import type { Announcement } from "../../../dev/simulator/ledger.ts";
import { createLedger } from "../../../dev/simulator/ledger.ts";
import { randomFrom } from "../../../dev/simulator/random.ts";
import { createWorld } from "../../../dev/simulator/world.ts";

const START_MS = Date.parse("2026-09-01T00:00:00Z");

function aWorld() {
  let nowMs = START_MS;
  const told: Announcement[] = [];
  const ledger = createLedger(
    () => (nowMs += 1_000),
    randomFrom(1, "world"),
    (announcement) => told.push(announcement),
  );
  const world = createWorld(ledger);
  return {
    world,
    types: () => told.map(({ eventType }) => eventType),
    last: () => told.at(-1)?.data ?? {},
  };
}

describe("the life of a card", () => {
  test("tells of each thing that happens by UQPAY's events", () => {
    const { world, types } = aWorld();

    const { id } = world.issue({ form: "PHYSICAL" });
    world.activate(id);
    const { id: paid } = world.spend(id, { amount: "10.50", fee: 1 });
    world.settle(paid);
    world.refund(paid, 5);
    world.reverse(paid, "0.5");
    world.recharge(id, 100);
    world.withdraw(id, 50);
    world.fee(id, 2);
    world.updateControls(id, { blockedMcc: ["5999"] });
    world.freeze(id);
    world.unfreeze(id);
    world.block(id);
    world.unfreeze(id);
    world.cancel(id);
    world.later(30);

    expect(types()).toEqual([
      "card.create.succeeded",
      "card.activation.status",
      "issuing.transaction.authorization",
      "issuing.transaction.settlement.debit",
      "issuing.transaction.refund",
      "issuing.transaction.reversal",
      "card.recharge.succeeded",
      "card.withdraw.succeeded",
      "issuing.fee.card",
      "card.update.succeeded",
      "card.status.update.succeeded",
      "card.status.update.succeeded",
      "card.status.update.succeeded",
      "card.status.update.succeeded",
      "card.status.update.succeeded",
      "card.status.update.succeeded",
    ]);
    // 1000 - 11.50 + 5 + 0.50 + 100 - 50 - 2
    expect(world.card(id)).toMatchObject({
      status: "CANCELLED",
      balance: toCents(1_042),
    });
  });

  test("is not cancelled before thirty days are over", () => {
    const { world, types } = aWorld();
    const { id } = world.issue();
    world.cancel(id);

    world.later(29);
    expect(world.card(id)?.status).toBe("PRE_CANCEL");
    world.later(1);

    expect(world.card(id)?.status).toBe("CANCELLED");
    expect(types()).toHaveLength(3);
  });

  test("shows as it was to who asks for an earlier time", () => {
    const { world } = aWorld();
    const { id, createdAtMs } = world.issue();
    const beforeMs = createdAtMs + 1_500;
    world.freeze(id);

    expect(world.card(id, beforeMs)?.status).toBe("ACTIVE");
    expect(world.card(id)?.status).toBe("FROZEN");
    expect(world.card(id, START_MS)).toBeUndefined();
    expect(world.cards(START_MS)).toEqual([]);
  });
});

describe("a payment", () => {
  const asked = (
    card: Parameters<ReturnType<typeof aWorld>["world"]["issue"]>[0],
    payment: { amount?: number; mcc?: string } = {},
  ) => {
    const { world, last } = aWorld();
    const { id } = world.issue(card);
    const { status, description } = world.spend(id, payment);
    const balance = world.card(id)?.balance;
    return { status, description, balance, told: last() };
  };

  test("is approved, and the balance after it is told", () => {
    expect(asked({ balance: "20.10" }, { amount: 10 })).toMatchObject({
      status: "APPROVED",
      balance: 1010,
      told: { card_available_balance: "10.1", billing_amount: "10" },
    });
  });

  test.each([
    ["is in the blocked list", { blockedMcc: ["5999"] }],
    ["is not in the allowed list", { allowedMcc: ["5411"] }],
  ])("is declined where its merchant's category %s", (_, lists) => {
    expect(asked(lists, { mcc: "5999" })).toMatchObject({
      status: "DECLINED",
      description: "Forbid MCC from account",
      balance: 100_000,
      told: { billing_amount: "0", authorization_code: "" },
    });
  });

  test.each([
    ["the balance", { balance: 5 }, "Insufficient balance"],
    [
      "the limit of a transaction",
      { perTransaction: 5 },
      "Exceeds transaction amount limit",
    ],
  ])("is declined above %s", (_, card, description) => {
    expect(asked(card)).toMatchObject({ status: "DECLINED", description });
  });

  test("is declined while the card is not active", () => {
    const { world } = aWorld();
    const { id } = world.issue();
    world.freeze(id);

    expect(world.spend(id).description).toBe("Card is frozen");
  });

  test("that is settled for less gives the rest back", () => {
    const { world, types } = aWorld();
    const { id } = world.issue({ balance: 100 });
    const { id: paid } = world.spend(id, { amount: 20 });

    world.settle(paid, 15);

    expect(types().at(-1)).toBe("issuing.transaction.settlement.credit");
    expect(world.card(id)?.balance).toBe(toCents(85));
  });
});

test.each<[string, (world: ReturnType<typeof aWorld>["world"]) => unknown]>([
  ["an id that is no card's", (world) => world.freeze("x")],
  ["to thaw what is not frozen", (world) => world.unfreeze(world.issue().id)],
  ["to activate what is active", (world) => world.activate(world.issue().id)],
  [
    "a recharge of a card that shares the account's money",
    (world) => world.recharge(world.issue({ mode: "SHARE" }).id, 1),
  ],
  [
    "more than is there",
    (world) => world.withdraw(world.issue({ balance: 1 }).id, 2),
  ],
  [
    "a refund of what was declined",
    (world) => world.refund(world.spend(world.issue({ balance: 1 }).id).id),
  ],
  ["an amount that is none", (world) => world.issue({ balance: "1e3" })],
  [
    "an update of a frozen card",
    (world) =>
      world.updateControls(world.freeze(world.issue().id).id, { limit: 1 }),
  ],
])("the simulator refuses %s", (_, act) => {
  expect(() => act(aWorld().world)).toThrow();
});
