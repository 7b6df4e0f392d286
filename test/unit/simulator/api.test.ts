import { afterEach, describe, expect, test } from "@jest/globals";
import type {
  Fault,
  Simulator,
  SimulatorOptions,
} from "../../../dev/simulator/simulator.ts";
import { createSimulator } from "../../../dev/simulator/simulator.ts";
import type { UqpayApi } from "../../../src/uqpay/api/client.ts";
import { createUqpayApi } from "../../../src/uqpay/api/client.ts";

let simulator: Simulator;
let api: UqpayApi;
let pauses: number[];
let faults: (string | undefined)[];

afterEach(async () => {
  await simulator.stop();
});

async function start(
  options: Partial<SimulatorOptions> = {},
  apiKey?: string,
): Promise<void> {
  simulator = await createSimulator({
    secret: "whsec_nobody_listens",
    haste: 1_000,
    ...options,
  });
  pauses = [];
  faults = [];
  api = createUqpayApi({
    baseUrl: simulator.apiBaseUrl,
    clientId: simulator.clientId,
    apiKey: apiKey ?? simulator.apiKey,
    budget: {
      take: async () => 0,
      closeFor: async (pauseMs) => {
        pauses.push(pauseMs);
      },
    },
    nowMs: () => performance.now(),
    random: Math.random,
    retry: { maxAttempts: 2, firstDelayMs: 1, maxDelayMs: 1 },
    onCall: (fault) => faults.push(fault),
  });
}

async function allCardIds(): Promise<string[]> {
  const first = await api.listCards(1);
  const ids: string[] = [];
  for (let page = 1; page <= first.value.totalPages; page += 1) {
    const { value } = await api.listCards(page);
    ids.push(...value.items.map(({ cardId }) => cardId));
  }
  return ids;
}

describe("the client, asking the simulator", () => {
  test("sees a card as it is", async () => {
    await start();
    const { id, holder } = simulator.world.issue({
      mode: "SHARE",
      balance: "123.45",
      perTransaction: 50,
      blockedMcc: ["5999"],
      metadata: { team: "测试" },
    });
    simulator.world.spend(id, { amount: "0.10" });
    simulator.world.freeze(id, "lost");

    const { value } = await api.retrieveCard(id);

    expect(value).toMatchObject({
      cardId: id,
      status: "FROZEN",
      statusReason: "lost",
      facts: {
        cardholder_id: holder.id,
        mode_type: "SHARE",
        card_limit: "123.45",
        available_balance: "123.35",
        consumed_amount: "0.1",
        spending_controls: [{ amount: "50", interval: "PER_TRANSACTION" }],
        allowed_mcc: [],
        blocked_mcc: ["5999"],
        metadata: { team: "测试" },
      },
      unreadable: [],
    });
    expect(JSON.stringify(value)).not.toMatch(
      new RegExp(`${holder.email}|${holder.firstName}|1990`),
    );
  });

  test("walks the whole list in pages of a hundred", async () => {
    await start();
    for (let card = 0; card < 205; card += 1)
      simulator.world.issue({ metadata: { card: String(card) } });

    const ids = await allCardIds();
    const { value } = await api.listCards(3);

    expect(new Set(ids).size).toBe(205);
    expect(value).toMatchObject({ totalItems: 205, totalPages: 3 });
    expect(value.items).toHaveLength(5);
    expect(value.items.at(-1)?.facts["metadata"]).toEqual({ card: "0" });
  });

  test("finds transactions by card and by time, and orders", async () => {
    await start();
    const { id } = simulator.world.issue();
    const other = simulator.world.issue();
    const paid = simulator.world.spend(id, { amount: "12.30", mcc: "5411" });
    const refund = simulator.world.refund(paid.id);
    simulator.world.fee(other.id, 1);
    const order = simulator.world.recharge(id, "7.50");

    const ofCard = await api.listTransactions({ cardId: id }, 1);
    const ofNow = await api.listTransactions(
      { from: ofCard.value.items[0]!.happenedAt! },
      1,
    );
    const found = await api.retrieveCardOrder(order.id);

    expect(ofCard.value.items.map((one) => one.transactionId)).toEqual([
      refund.id,
      paid.id,
    ]);
    expect(ofCard.value.items[1]).toMatchObject({
      transactionType: "AUTHORIZATION",
      transaction: { billing_amount: "12.3", mcc: "5411" },
    });
    expect(ofCard.value.items[0]?.transaction).toMatchObject({
      transaction_type: "REFUND",
      original_transaction_id: paid.id,
    });
    expect(ofNow.value.items.length).toBeGreaterThanOrEqual(2);
    expect(found.value).toMatchObject({
      cardId: id,
      orderType: "CARD_RECHARGE",
      orderStatus: "SUCCESS",
      amount: "7.5",
      currency: "USD",
    });
  });

  test("is told that there is no such card, order or key", async () => {
    await start();

    for (const asked of [api.retrieveCard("x"), api.retrieveCardOrder("x")])
      await expect(asked).rejects.toMatchObject({ fault: "not-found" });
    await simulator.stop();
    await start({}, "another-key");
    await expect(api.listCards(1)).rejects.toMatchObject({
      fault: "unauthorized",
      code: "invalid_credentials",
    });
  });

  test("knows UQPAY's clock from its answers, whatever the clock here says", async () => {
    const nowMs = () => Date.now() + 3_600_000;
    await start({ nowMs });
    const before = nowMs();

    const first = await api.listCards(1);
    const second = await api.listCards(1);

    expect(first.knownBefore).toBeUndefined();
    expect(second.knownBefore).toBe(first.date);
    expect(Date.parse(String(first.date))).toBeGreaterThan(before - 1_001);
  });

  test("renews its token before it ends", async () => {
    await start({ tokenLifeMs: 2_000 });
    await api.listCards(1);

    await new Promise((resolve) => setTimeout(resolve, 2_100));
    await api.listCards(1);

    // Neither was refused.
    expect(simulator.calls()).toBe(2);
  });
});

describe("a fault of the API", () => {
  async function strike(fault: Fault): Promise<number> {
    await start();
    const { id } = simulator.world.issue();
    await api.listCards(1);
    const before = simulator.calls();
    simulator.faults.next(fault);
    expect((await api.retrieveCard(id)).value.cardId).toBe(id);
    return simulator.calls() - before;
  }

  test("expired-token: the token is renewed, and nobody notices", async () => {
    expect(await strike("expired-token")).toBe(2);
    expect(faults).toEqual([undefined, undefined]);
  });

  test("html-error: it is asked again", async () => {
    expect(await strike("html-error")).toBe(2);
    expect(faults).toEqual([undefined, "unavailable", undefined]);
  });

  test("slow: the answer comes all the same", async () => {
    expect(await strike("slow")).toBe(1);
  });

  test("rate-limited: the budget is closed until the minute is over", async () => {
    // Two seconds before the end of a minute.
    const startedAt = Date.now();
    const nowMs = () => 1_800_000_058_000 + Date.now() - startedAt;
    await start({ nowMs });
    simulator.faults.next("rate-limited");

    await api.listCards(1);

    expect(pauses).toHaveLength(1);
    expect(pauses[0]).toBeGreaterThan(0);
    expect(pauses[0]).toBeLessThanOrEqual(2_000);
    expect(faults).toEqual(["rate-limited", undefined]);
  });

  test("more calls in a minute than UQPAY allows are refused in the same way", async () => {
    const startedAt = Date.now();
    const nowMs = () => 1_800_000_058_500 + Date.now() - startedAt;
    await start({ nowMs, callsPerMinute: 3 });

    for (let call = 0; call < 4; call += 1) await api.listCards(1);

    expect(faults.filter((fault) => fault === "rate-limited")).toHaveLength(1);
  });

  test("lagging: the card is as it was before", async () => {
    let offsetMs = 0;
    const nowMs = () => Date.now() + offsetMs;
    await start({ nowMs, lagMs: 60_000 });
    const { id } = simulator.world.issue();
    offsetMs = 61_000;
    simulator.world.freeze(id);

    simulator.faults.set({ lagging: 1 });
    const old = await Promise.all(
      Array.from({ length: 8 }, () => api.retrieveCard(id)),
    );
    simulator.faults.set({ lagging: 0 });
    const fresh = await api.retrieveCard(id);

    expect(old.map(({ value }) => value.status)).toContain("ACTIVE");
    expect(fresh.value.status).toBe("FROZEN");
  });

  test("moving-pages: some cards are shown twice, others not at all, and the counts stay", async () => {
    await start();
    for (let card = 0; card < 300; card += 1) simulator.world.issue();
    simulator.faults.set({ "moving-pages": 1 });

    const ids = await allCardIds();

    expect(ids).toHaveLength(300);
    expect(new Set(ids).size).toBeLessThan(300);
  });
});

test("pages of more than a hundred are refused, in the older form of errors", async () => {
  await start();
  const token = (await (
    await fetch(`${simulator.apiBaseUrl}/v1/connect/token`, {
      method: "POST",
      headers: {
        "x-client-id": simulator.clientId,
        "x-api-key": simulator.apiKey,
      },
    })
  ).json()) as { auth_token: string };

  const response = await fetch(
    `${simulator.apiBaseUrl}/v1/issuing/cards?page_size=101&page_number=1`,
    { headers: { "x-auth-token": `Bearer ${token.auth_token}` } },
  );

  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ code: 100_400 });
});
