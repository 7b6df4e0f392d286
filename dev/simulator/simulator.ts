import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { createControl } from "./control.ts";
import type { Delivery, SentEvent } from "./delivery.ts";
import { createDelivery } from "./delivery.ts";
import type { Faults } from "./faults.ts";
import { createFaults } from "./faults.ts";
import { createLedger } from "./ledger.ts";
import { randomFrom } from "./random.ts";
import { createRest } from "./rest.ts";
import type { World } from "./world.ts";
import { createWorld } from "./world.ts";

export type { Fault, Faults } from "./faults.ts";
export type { Card, Order, Transaction } from "./cards.ts";
export type { SentEvent } from "./delivery.ts";
export type { World } from "./world.ts";

export interface SimulatorOptions {
  /** What webhooks are signed with. */
  readonly secret: string;
  /** Default: webhooks wait until `sendTo`. */
  readonly webhookUrl?: string;
  /** Default 0: any that is free. */
  readonly port?: number;
  readonly clientId?: string;
  readonly apiKey?: string;
  /** The same seed gives the same ids and faults. */
  readonly seed?: number;
  /** All waits of webhooks and faults are divided by it: 1 is UQPAY's own time, 1000 makes the last retry one after 0.3 s. */
  readonly haste?: number;
  /** False: every try of a webhook bears the time of the first one. */
  readonly signsEachTry?: boolean;
  /** UQPAY's clock. */
  readonly nowMs?: () => number;
  /** UQPAY's limit, in a calendar minute. */
  readonly callsPerMinute?: number;
  readonly tokenLifeMs?: number;
  /** The most that an answer is behind, with the fault `lagging`. */
  readonly lagMs?: number;
  /** Told what happens, in a line. */
  readonly tell?: (line: string) => void;
}

/** A local UQPAY: cards with their true state, the API that shows them and the webhooks that tell of them. */
export interface Simulator {
  readonly world: World;
  readonly faults: Faults;
  /** `UQPAY_API_BASE_URL` */
  readonly apiBaseUrl: string;
  readonly clientId: string;
  readonly apiKey: string;
  /** Where curl asks for actions and faults. */
  readonly controlUrl: string;
  readonly sendTo: (webhookUrl: string) => void;
  readonly events: () => readonly SentEvent[];
  /** Resolves when no webhook is on its way any more. */
  readonly untilDelivered: () => Promise<void>;
  /** How many calls the API has answered, but for tokens. */
  readonly calls: () => number;
  readonly stop: () => Promise<void>;
}

const SLOW_MS = 3_000;

export async function createSimulator(
  options: SimulatorOptions,
): Promise<Simulator> {
  const { seed = 1, haste = 1, nowMs = Date.now } = options;
  const { clientId = "simulator", apiKey = "simulator-key" } = options;
  const { tell = () => undefined } = options;
  const faults = createFaults(seed);
  const delivery = createDelivery({
    secret: options.secret,
    nowMs,
    faults,
    random: randomFrom(seed, "delivery"),
    haste,
    signsEachTry: options.signsEachTry ?? true,
    onAnswer: (eventType, answer) => {
      tell(`webhook ${eventType}: ${String(answer)}`);
    },
  });
  const random = randomFrom(seed, "world");
  const world = createWorld(createLedger(nowMs, random, delivery.announce));
  let calls = 0;
  const rest = createRest({
    world,
    faults,
    random: randomFrom(seed, "rest"),
    nowMs,
    clientId,
    apiKey,
    tokenLifeMs: options.tokenLifeMs ?? 30 * 60_000,
    callsPerMinute: options.callsPerMinute ?? 200,
    lagMs: options.lagMs ?? 5_000,
    slowMs: SLOW_MS / haste,
    onCall: (path, status) => {
      calls += 1;
      tell(`API ${path}: ${String(status)}`);
    },
  });
  const app = express();
  app.disable("x-powered-by");
  app.use("/api", rest);
  app.use("/simulator", createControl(world, delivery, faults));
  const server = await listen(app, options.port ?? 0);
  if (options.webhookUrl !== undefined) delivery.sendTo(options.webhookUrl);
  return {
    world,
    faults,
    apiBaseUrl: `${server.url}/api`,
    clientId,
    apiKey,
    controlUrl: `${server.url}/simulator`,
    sendTo: delivery.sendTo,
    events: delivery.events,
    untilDelivered: delivery.untilDelivered,
    calls: () => calls,
    stop: () => stop(delivery, server),
  };
}

/** On this machine only: whoever reaches it moves its cards. */
async function listen(app: express.Express, port: number) {
  const server = createServer(app);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.address() as AddressInfo;
  return { server, url: `http://127.0.0.1:${String(address.port)}` };
}

async function stop(
  delivery: Delivery,
  { server }: Awaited<ReturnType<typeof listen>>,
): Promise<void> {
  await delivery.stop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
