import { afterEach, describe, expect, test } from "@jest/globals";
import type {
  Fault,
  Simulator,
  SimulatorOptions,
} from "../../../dev/simulator/simulator.ts";
import { createSimulator } from "../../../dev/simulator/simulator.ts";
import type { Receiver } from "../../support/receiver.ts";
import { startReceiver } from "../../support/receiver.ts";
import { SECRET } from "../../support/service.ts";

let simulator: Simulator;
let receiver: Receiver;

afterEach(async () => {
  await simulator.stop();
  await receiver.stop();
});

async function start(
  statusOf?: (count: number) => number,
  more: Partial<SimulatorOptions> = {},
): Promise<void> {
  receiver = await startReceiver(statusOf);
  simulator = await createSimulator({
    secret: SECRET,
    webhookUrl: receiver.url,
    haste: 1_000,
    ...more,
  });
}

const verdicts = () => receiver.received.map(({ verdict }) => verdict);
const bodies = () =>
  receiver.received.map(({ body }) => JSON.parse(body) as Envelope);

interface Envelope {
  readonly event_type: string;
  readonly event_id: string;
  readonly source_id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

describe("webhooks", () => {
  test("are signed, and delivered once where they are answered with 200", async () => {
    await start();

    const card = simulator.world.issue();
    await simulator.untilDelivered();

    expect(verdicts()).toEqual(["valid"]);
    expect(bodies()[0]).toMatchObject({
      event_type: "card.create.succeeded",
      data: { card_id: card.id },
    });
    expect(simulator.events()).toMatchObject([
      { outcome: "delivered", answers: [200] },
    ]);
  });

  test("are tried six times, after UQPAY's own waits divided by the haste, and then no more", async () => {
    await start(() => 503);

    simulator.world.issue();
    await simulator.untilDelivered();

    const times = receiver.received.map(({ atMs }) => atMs);
    const waits = times.slice(1).map((time, at) => time - (times[at] ?? 0));
    expect(waits).toHaveLength(5);
    for (const [at, expectedMs] of [16, 32, 64, 128, 256].entries()) {
      expect(waits[at]).toBeGreaterThan(expectedMs - 3);
      expect(waits[at]).toBeLessThan(expectedMs * 2 + 100);
    }
    expect(simulator.events()[0]?.outcome).toBe("given up");
    expect(verdicts()).toEqual(Array(6).fill("valid"));
  });

  test("are signed anew at each try, or keep the time of the first", async () => {
    await start(() => 503);
    simulator.world.issue();
    await simulator.untilDelivered();
    const anew = new Set(receiver.received.map(({ timestamp }) => timestamp));
    await simulator.stop();
    await receiver.stop();

    await start(() => 503, { signsEachTry: false });
    simulator.world.issue();
    await simulator.untilDelivered();
    const kept = new Set(receiver.received.map(({ timestamp }) => timestamp));

    expect(anew.size).toBe(6);
    expect(kept.size).toBe(1);
  });

  test("wait until it is known where to", async () => {
    receiver = await startReceiver();
    simulator = await createSimulator({ secret: SECRET });
    simulator.world.issue();

    simulator.sendTo(receiver.url);
    await simulator.untilDelivered();

    expect(verdicts()).toEqual(["valid"]);
  });

  test("have the same ids and faults for the same seed", async () => {
    const run = async (seed: number) => {
      await start(undefined, { seed });
      simulator.faults.set({ lost: 0.5 });
      for (let card = 0; card < 10; card += 1) simulator.world.issue();
      await simulator.untilDelivered();
      const told = simulator
        .events()
        .map(({ eventId, outcome }) => [eventId, outcome]);
      await simulator.stop();
      await receiver.stop();
      return told;
    };

    const [first, again, other] = [await run(7), await run(7), await run(8)];

    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    await start();
  });
});

describe("a fault", () => {
  async function strike(fault: Fault): Promise<void> {
    await start();
    simulator.faults.next(fault);
    simulator.world.issue();
    await simulator.untilDelivered();
  }

  test("lost: nothing is sent", async () => {
    await strike("lost");

    expect(receiver.received).toEqual([]);
    expect(simulator.events()[0]?.outcome).toBe("lost");
  });

  test("duplicated: the same bytes come twice", async () => {
    await strike("duplicated");

    const [first, second] = receiver.received;
    expect(receiver.received).toHaveLength(2);
    expect(second).toMatchObject({
      body: first?.body,
      signature: first?.signature,
    });
  });

  test("signed-anew: the copy that was signed first comes second", async () => {
    await strike("signed-anew");

    const [first, second] = receiver.received;
    expect(verdicts()).toEqual(["valid", "valid"]);
    expect(second?.body).toBe(first?.body);
    expect(Number(second?.timestamp)).toBeLessThan(Number(first?.timestamp));
  });

  test("stale: every try bears a time that is too old", async () => {
    await start(() => 401);
    simulator.faults.next("stale");
    simulator.world.issue();
    await simulator.untilDelivered();

    expect(verdicts()).toEqual(Array(6).fill("stale"));
  });

  test("conflicting: another content follows under the same id", async () => {
    await strike("conflicting");

    const [first, second] = bodies();
    expect(second?.event_id).toBe(first?.event_id);
    expect(second?.data).not.toEqual(first?.data);
    expect(verdicts()).toEqual(["valid", "valid"]);
  });

  test("malformed: the first try is signed and no JSON, the next one is whole", async () => {
    await start((count) => (count === 1 ? 400 : 200));
    simulator.faults.next("malformed");
    simulator.world.issue();
    await simulator.untilDelivered();

    const [first, second] = receiver.received;
    expect(verdicts()).toEqual(["valid", "valid"]);
    expect(second?.body.startsWith(first?.body ?? "")).toBe(true);
    expect(() => JSON.parse(first?.body ?? "") as unknown).toThrow(SyntaxError);
    expect(simulator.events()[0]?.outcome).toBe("delivered");
  });

  test("reordered: a later webhook overtakes", async () => {
    await start(undefined, { haste: 10 });
    simulator.faults.next("reordered");
    const { id } = simulator.world.issue();
    simulator.world.freeze(id);
    await simulator.untilDelivered();

    expect(bodies().map(({ event_type }) => event_type)).toEqual([
      "card.status.update.succeeded",
      "card.create.succeeded",
    ]);
  });

  test("reordered: what nothing comes after waits no longer than a little", async () => {
    await strike("reordered");

    expect(verdicts()).toEqual(["valid"]);
  });

  test("delayed: the webhook comes later than others", async () => {
    await start(undefined, { haste: 100 });
    simulator.faults.next("delayed");
    const { id } = simulator.world.issue();
    simulator.world.freeze(id);
    await simulator.untilDelivered();

    expect(bodies()[0]?.event_type).toBe("card.status.update.succeeded");
    expect(receiver.received).toHaveLength(2);
  });

  test("slow: the body comes in two parts, and is whole", async () => {
    await start(undefined, { haste: 10 });
    simulator.faults.next("slow");
    const startedAt = performance.now();
    simulator.world.issue();
    await simulator.untilDelivered();

    expect(performance.now() - startedAt).toBeGreaterThan(290);
    expect(verdicts()).toEqual(["valid"]);
  });

  test("comes as often as it is asked to, and its rate is 0 to 1", async () => {
    await start();
    simulator.faults.set({ lost: 1 });
    simulator.world.issue();
    simulator.faults.set({ lost: 0 });
    simulator.world.issue();
    await simulator.untilDelivered();

    expect(simulator.events().map(({ outcome }) => outcome)).toEqual([
      "lost",
      "delivered",
    ]);
    expect(() => simulator.faults.set({ lost: 2 })).toThrow("0 to 1");
  });
});
