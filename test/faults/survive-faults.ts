import { mkdirSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort } from "../support/redis-server.ts";
import { findViolations, readInbox, untilNothingWaits } from "./checks.ts";
import {
  INSTANCE_FAULTS,
  injectFaults,
  planFaults,
  POSTGRES_FAULTS,
  REDIS_FAULTS,
} from "./faults.ts";
import { startInstance } from "./instances.ts";
import { startPostgresServer } from "./postgres-server.ts";
import { randomFrom } from "../../dev/simulator/random.ts";
import { startRedisUnderTest } from "./redis-under-test.ts";
import { createSender } from "./sender.ts";
import type { Traffic } from "./traffic.ts";
import { createTraffic } from "./traffic.ts";

export type QueueKind = "redis" | "postgres";

export interface ScenarioOptions {
  readonly queue: QueueKind;
  readonly seed: number;
  readonly dist: string;
  /** For data and logs. */
  readonly folder: string;
  readonly tell: (line: string) => void;
}

export interface ScenarioReport {
  readonly figures: Readonly<Record<string, unknown>>;
  readonly violations: readonly string[];
}

export const SECRET = "whsec_fault_suite";
/** The promise: so long after everything is well again, everything is right. */
const HEAL_TIMEOUT_MS = 30_000;
/** UQPAY's eight minutes of retries pass in five seconds. */
export const FACTOR = 100;

/** Two instances under load while everything breaks; then everything is compared with the model. */
export async function surviveFaults(
  options: ScenarioOptions & {
    readonly faults: number;
    readonly eventsPerSecond: number;
  },
): Promise<ScenarioReport> {
  const { queue, seed, dist, folder, tell } = options;
  mkdirSync(folder, { recursive: true });
  const postgres = await startPostgresServer(join(folder, "postgres"));
  const redis =
    queue === "redis"
      ? await startRedisUnderTest(join(folder, "redis"))
      : undefined;
  const database = "faults";
  const serviceUrl = await postgres.createDatabase(database);
  const databaseUrl = postgres.adminUrl(database);
  const ports = [await findFreePort(), await findFreePort()];
  const instances = ports.map((port, index) =>
    startInstance({
      name: `instance ${String(index)}`,
      port,
      env: {
        DATABASE_URL: serviceUrl,
        UQPAY_WEBHOOK_SECRET: SECRET,
        ...(redis && { REDIS_URL: redis.url }),
      },
      logFile: join(folder, `instance-${String(index)}.log`),
    }),
  );
  const sender = createSender({ ports, secret: SECRET, factor: FACTOR });
  const traffic = createTraffic(seed, sender);
  const violations: string[] = [];

  try {
    for (const instance of instances) {
      if (!(await instance.untilReady(30_000)))
        throw new Error(`${instance.name} does not start: see ${folder}`);
    }
    const stopTraffic = traffic.start(options.eventsPerSecond);
    await sleep(1_000);
    const kinds = [
      ...INSTANCE_FAULTS,
      ...POSTGRES_FAULTS,
      ...(redis ? REDIS_FAULTS : []),
    ];
    const injected = await injectFaults(
      planFaults(randomFrom(seed, `plan ${queue}`), kinds),
      options.faults,
      { instances, postgres, database, redis, burst: traffic.burst },
      tell,
    );

    const wellAt = performance.now();
    stopTraffic();
    for (const instance of instances) {
      if (!(await instance.untilReady(HEAL_TIMEOUT_MS)))
        violations.push(`${instance.name} does not come back`);
    }
    const probeMs = await untilQueueWorks(traffic, databaseUrl);
    if (probeMs === undefined)
      violations.push("the queue no longer brings events to a worker");
    await traffic.settled();
    const left = HEAL_TIMEOUT_MS - (performance.now() - wellAt);
    const drained = await untilNothingWaits(databaseUrl, Math.max(left, 100));
    const healMs = Math.round(performance.now() - wellAt);
    if (drained === undefined)
      violations.push(`events still wait ${String(healMs)} ms after healing`);

    const { sent, acknowledged } = traffic;
    violations.push(
      ...(await findViolations({
        sent,
        acknowledged,
        stale: traffic.stale,
        signings: sender.signings,
        poison: new Set(),
        databaseUrl,
        dist,
      })),
      ...instances.flatMap((instance) => instance.violations()),
      ...sender.wrongAnswers().map((answer) => `wrong answer: ${answer}`),
    );
    const inbox = await readInbox(databaseUrl);
    const { slowestAnswerMs, ...attempts } = sender.figures();
    return {
      violations,
      figures: {
        queue,
        seed,
        sent: sent.length,
        acknowledged: acknowledged.size,
        refusedForEver: sent.length - acknowledged.size,
        stored: inbox.length,
        deliveredAgain: traffic.repeated(),
        ...attempts,
        slowestAnswerMs: Math.round(slowestAnswerMs),
        faults: Object.fromEntries([...injected.counts].sort()),
        faultsMissed: injected.missed,
        loadAverage: loadavg()[0],
        failedStarts: instances.reduce(
          (sum, one) => sum + one.failedStarts(),
          0,
        ),
        slowestStopMs: Math.max(...instances.map((one) => one.slowestStopMs())),
        mostAttempts: Math.max(...inbox.map(({ attempts }) => attempts)),
        slowestApplyMs: Math.round(
          Math.max(...inbox.map(({ took_ms: tookMs }) => tookMs ?? 0)),
        ),
        healMs,
        queueWorksAfterMs: probeMs,
      },
    };
  } finally {
    sender.close();
    await Promise.all(instances.map((instance) => instance.stop()));
    await redis?.stop();
    await postgres.stop();
  }
}

/** An event that only the sweep finds waits longer than this (3 s of grace). */
const APPLIED_BY_QUEUE_MS = 1_500;
const PROBE_EVENTS = 5;

/** A worker can look alive and consume nothing: events of now must be applied faster than the sweep would. */
async function untilQueueWorks(
  traffic: Traffic,
  databaseUrl: string,
): Promise<number | undefined> {
  const startedAt = performance.now();
  while (performance.now() - startedAt < HEAL_TIMEOUT_MS) {
    const events = traffic.burst(PROBE_EVENTS);
    await sleep(2 * APPLIED_BY_QUEUE_MS);
    const inbox = new Map(
      (await readInbox(databaseUrl)).map((row) => [row.event_id, row]),
    );
    const isQuick = events.every(({ id, isHandled }) => {
      const tookMs = inbox.get(id)?.took_ms;
      return (
        !isHandled ||
        (typeof tookMs === "number" && tookMs < APPLIED_BY_QUEUE_MS)
      );
    });
    if (isQuick) return Math.round(performance.now() - startedAt);
  }
  return undefined;
}
