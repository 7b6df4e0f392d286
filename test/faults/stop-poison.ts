import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort } from "../support/redis-server.ts";
import { findViolations, readInbox, untilNothingWaits } from "./checks.ts";
import type { SentEvent } from "./events.ts";
import type { Poison } from "./instance.ts";
import type { Instance } from "./instances.ts";
import { startInstance } from "./instances.ts";
import type { PostgresServer } from "./postgres-server.ts";
import { asAdmin, startPostgresServer } from "./postgres-server.ts";
import { randomFrom } from "../../dev/simulator/random.ts";
import { startRedisUnderTest } from "./redis-under-test.ts";
import { createSender } from "./sender.ts";
import type { ScenarioOptions, ScenarioReport } from "./survive-faults.ts";
import { FACTOR, SECRET } from "./survive-faults.ts";
import type { Traffic } from "./traffic.ts";
import { createTraffic } from "./traffic.ts";

/** `corrupt`: the stored body is no JSON any more. `throw`: a mistake of ours, and no fault of the event. */
type PoisonName = Poison["kind"] | "corrupt";

export const POISONS: readonly PoisonName[] = [
  "throw",
  "corrupt",
  "block",
  "exhaust",
  "kill",
];

const MAX_ATTEMPTS = 3;
/** The batch in which it came, the batch that the sweep made of it, and the job that came back. */
const MOST_DEATHS = MAX_ATTEMPTS + 3;
const START_TIMEOUT_MS = 60_000;
const DRAIN_TIMEOUT_MS = 30_000;
const NEIGHBOURS = 40;
const EVENTS_PER_SECOND = 4;
/** Each attempt that ends the process costs its lease (10 s), the sweep's grace (3 s) and a start. */
const POISON_TIMEOUT_MS = 240_000;
/** Each of the five services may hold 25 with its queue on PostgreSQL, and leaves as many behind when it is killed. */
const MAX_CONNECTIONS = 300;
/** Of an event that comes after the poison was given up; generous, for a machine that does other things, too. */
const USUAL_PACE_MS = 5_000;

/** One poisonous event of each kind, each with a service and a database of its own, all at the same time. */
export async function stopPoison(
  options: ScenarioOptions,
): Promise<ScenarioReport> {
  const { folder, queue } = options;
  mkdirSync(folder, { recursive: true });
  const postgres = await startPostgresServer(
    join(folder, "postgres"),
    // Nobody stops it here, and five services share its disk.
    { durable: false, maxConnections: MAX_CONNECTIONS },
  );
  const redis =
    queue === "redis"
      ? await startRedisUnderTest(join(folder, "redis"))
      : undefined;
  try {
    const reports = await Promise.all(
      POISONS.map((name) => sufferPoison(name, postgres, redis?.url, options)),
    );
    return {
      violations: reports.flatMap(({ violations }) => violations),
      figures: Object.assign(
        {},
        ...reports.map(({ figures }) => figures),
      ) as ScenarioReport["figures"],
    };
  } finally {
    await redis?.stop();
    await postgres.stop();
  }
}

async function sufferPoison(
  name: PoisonName,
  postgres: PostgresServer,
  redisUrl: string | undefined,
  { seed, dist, folder, tell }: ScenarioOptions,
): Promise<ScenarioReport> {
  const serviceUrl = await postgres.createDatabase(`poison_${name}`);
  const databaseUrl = postgres.adminUrl(`poison_${name}`);
  const port = await findFreePort();
  const sender = createSender({
    ports: [port],
    secret: SECRET,
    factor: FACTOR,
  });
  const traffic = createTraffic(seed + POISONS.indexOf(name), sender);
  const violations: string[] = [];
  const start = (env: Readonly<Record<string, string>>) =>
    startInstance({
      name,
      port,
      mayDie: true,
      env: {
        DATABASE_URL: serviceUrl,
        DATABASE_POOL_SIZE: "2",
        UQPAY_WEBHOOK_SECRET: SECRET,
        EVENT_MAX_ATTEMPTS: String(MAX_ATTEMPTS),
        EVENT_RETRY_DELAY_MS: "100",
        REQUEUE_PERIOD_MS: "300",
        HANG_TIMEOUT_MS: "2000",
        QUEUE_PREFIX: `poison-${name}`,
        ...(redisUrl !== undefined && { REDIS_URL: redisUrl }),
        ...env,
      },
      execArgv: name === "exhaust" ? ["--max-old-space-size=96"] : [],
      logFile: join(folder, `${name}.log`),
    });

  // First without a worker, so that the poison and its neighbours wait together.
  let instance = start({ ROLE: "api" });
  let stopTraffic = (): void => undefined;
  try {
    await instance.untilReady(START_TIMEOUT_MS);
    const events = traffic.burst(NEIGHBOURS + 1);
    await traffic.settled();
    const poison = choosePoison(
      events.filter(({ id }) => traffic.acknowledged.has(id)),
      seed,
    );
    if (name === "corrupt") await corrupt(databaseUrl, poison.id);
    await instance.stop();
    instance = start(
      name === "corrupt"
        ? {}
        : { FAULTS_POISON: JSON.stringify({ kind: name, eventId: poison.id }) },
    );

    const startedAt = performance.now();
    stopTraffic = traffic.start(EVENTS_PER_SECOND);
    const isOurMistake = name === "throw";
    const isOver = isOurMistake
      ? await untilOnlyWaits(databaseUrl, poison.id)
      : await untilIs(databaseUrl, poison.id, "state = 'failed'");
    const overMs = Math.round(performance.now() - startedAt);
    const deaths = instance.deaths() - instance.failedStarts();
    const end = isOurMistake ? "waits alone" : "given up";
    tell(
      `poison ${name}: ${end} after ${String(overMs)} ms and ${String(deaths)} deaths`,
    );
    if (!isOver) violations.push(`${name}: not ${end} in ${String(overMs)} ms`);
    stopTraffic();
    await traffic.settled();
    if (isOurMistake) {
      await instance.stop();
      instance = start({});
    }
    await untilNothingWaits(databaseUrl, DRAIN_TIMEOUT_MS);
    const paceMs = await measurePace(instance, traffic, databaseUrl);
    if (paceMs > USUAL_PACE_MS)
      violations.push(
        `${name}: an event after it took ${String(paceMs)} ms to be applied`,
      );
    if (deaths > MOST_DEATHS)
      violations.push(`${name}: ended the process ${String(deaths)} times`);
    violations.push(
      ...(
        await findViolations({
          sent: traffic.sent,
          acknowledged: traffic.acknowledged,
          stale: traffic.stale,
          signings: sender.signings,
          poison: new Set(isOurMistake ? [] : [poison.id]),
          databaseUrl,
          dist,
        })
      ).map((violation) => `${name}: ${violation}`),
      ...instance.violations(),
      ...sender.wrongAnswers().map((answer) => `${name}: ${answer}`),
    );
    const inbox = await readInbox(databaseUrl);
    const row = inbox.find(({ event_id: id }) => id === poison.id);
    // What it waited for cost it none: the one that counts is that which applied it.
    if (row?.attempts !== (isOurMistake ? 1 : MAX_ATTEMPTS))
      violations.push(`${name}: attempts ${String(row?.attempts)}`);
    const { sent, acknowledged } = traffic;
    const ids = new Set(events.map(({ id }) => id));
    return {
      violations,
      figures: {
        [name]: {
          overMs,
          deaths,
          attempts: row?.attempts,
          reason: row?.last_error,
          sent: sent.length,
          acknowledged: acknowledged.size,
          slowestNeighbourMs: slowest(
            inbox.filter((one) => ids.has(one.event_id)),
          ),
          paceAfterwardsMs: paceMs,
        },
      },
    };
  } finally {
    stopTraffic();
    await instance.stop();
    await traffic.settled();
    sender.close();
  }
}

function choosePoison(events: readonly SentEvent[], seed: number): SentEvent {
  const handled = events.filter(({ isHandled }) => isHandled);
  return randomFrom(seed, "poison").pick(handled);
}

async function corrupt(databaseUrl: string, eventId: string): Promise<void> {
  await asAdmin(databaseUrl, (admin) =>
    admin.query(
      "update webhook_events set body = left(body, 40) where event_id = $1",
      [eventId],
    ),
  );
}

/** All others are applied beside it, it says why it is not, and has lost no attempt. */
function untilOnlyWaits(
  databaseUrl: string,
  eventId: string,
): Promise<boolean> {
  return untilIs(
    databaseUrl,
    eventId,
    `state = 'received' and attempts = 0 and last_error is not null and (
       select count(*) from webhook_events where state = 'processed') > ${String(NEIGHBOURS / 2)}`,
  );
}

async function untilIs(
  databaseUrl: string,
  eventId: string,
  condition: string,
): Promise<boolean> {
  const deadline = Date.now() + POISON_TIMEOUT_MS;
  return asAdmin(databaseUrl, async (admin) => {
    while (Date.now() < deadline) {
      const { rowCount } = await admin.query(
        `select from webhook_events where event_id = $1 and ${condition}`,
        [eventId],
      );
      if (rowCount === 1) return true;
      await sleep(250);
    }
    return false;
  });
}

/** The slowest of some events that come now; those that were refused say nothing. */
async function measurePace(
  instance: Instance,
  traffic: Traffic,
  databaseUrl: string,
): Promise<number> {
  await instance.untilReady(START_TIMEOUT_MS);
  const events = traffic.burst(20);
  await traffic.settled();
  await untilNothingWaits(databaseUrl, DRAIN_TIMEOUT_MS);
  const ids = new Set(events.map(({ id }) => id));
  return slowest(
    (await readInbox(databaseUrl)).filter(({ event_id: id }) => ids.has(id)),
  );
}

function slowest(
  rows: readonly { state: string; took_ms: number | null }[],
): number {
  return Math.round(
    Math.max(
      ...rows.map(({ state, took_ms: tookMs }) =>
        state === "received" ? Infinity : (tookMs ?? 0),
      ),
    ),
  );
}
