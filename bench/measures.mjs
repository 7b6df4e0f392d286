// What is measured, each on a new system. A figure counts only when all was answered with 200 and all of it is in the
// tables: else the run has problems.
import { setTimeout as sleep } from "node:timers/promises";
import { quantile } from "../scripts/measuring/numbers.mjs";
import {
  cpuSeconds,
  peakResidentMiB,
} from "../scripts/measuring/process-figures.mjs";
import { sendAtRate, sendInTurn } from "./load.mjs";

/** @typedef {import("./environment.mjs").System} System */
/** @typedef {import("./load.mjs").Load} Load */
/** @typedef {{ seconds: number, warmUpSeconds: number, connections: number, rate: number, backlog: number }} Options */
/** @typedef {{ figures: Record<string, number>, problems: string[] }} Result */

/** For what waits to be applied. */
const PATIENCE_MS = 120_000;
/** Of a backlog: meanwhile just-in-time code settles, and nothing counts. */
const WARM_UP = 1 / 3;
/** The transaction that wrote a row last, which applied its event: from its commit on, everybody sees what it did. */
const APPLIED_AT = "pg_xact_commit_timestamp(xmin)";

/** @type {Record<string, (system: System, options: Options) => Promise<Result>>} */
export const measures = { answers, drain, felt };

/** How many deliveries are answered in a second, each only when it is on the disk. @type {typeof measures[string]} */
async function answers(system, { connections, warmUpSeconds, seconds }) {
  const { port, stop } = await system.start("api");
  const loads = [
    await sendInTurn(port, { connections, duration: warmUpSeconds }),
    await sendInTurn(port, { connections, duration: seconds }),
  ];
  // Killed, so that what was answered before it was committed is lost, and seen to be.
  await stop("SIGKILL");
  const { latencies, accepted, ...load } = loads[1] ?? {};
  return {
    figures: {
      "answers/s": accepted / load.seconds,
      "p50, ms": quantile(latencies, 0.5),
      "p99, ms": quantile(latencies, 0.99),
    },
    problems: await findLost(system, loads),
  };
}

/** How fast a worker applies what waits. @type {typeof measures[string]} */
async function drain(system, { connections, backlog }) {
  const api = await system.start("api");
  const load = await sendInTurn(api.port, { connections, amount: backlog });
  await api.stop();
  await system.start("worker");
  await untilApplied(system);
  const [row] = await system.query(
    `with applied as (
       select ${APPLIED_AT} as at from webhook_events where state = 'processed'
     ), warm as (
       select percentile_disc($1::float8) within group (order by at) as at from applied
     )
     select count(*) / extract(epoch from max(applied.at) - min(warm.at))::float8 as rate
     from applied join warm on applied.at > warm.at`,
    [WARM_UP],
  );
  return {
    figures: { "events/s": row?.rate ?? NaN },
    problems: [
      ...(await findLost(system, [load])),
      ...(await findUnapplied(system)),
    ],
  };
}

/** What a person feels at the rate of a busy day, everything in one process. @type {typeof measures[string]} */
async function felt(system, { rate, warmUpSeconds, seconds }) {
  const { pid, port } = await system.start("all");
  const warmUp = await sendAtRate(port, { rate, seconds: warmUpSeconds });
  const [clock] = await system.query("select clock_timestamp()::text as now");
  const cpuBefore = cpuSeconds(pid);
  const load = await sendAtRate(port, { rate, seconds });
  const cpu = cpuSeconds(pid) - cpuBefore;
  await untilApplied(system);
  const [lag] = await system.query(
    `select percentile_cont(array[0.5, 0.99]) within group (
       order by (extract(epoch from ${APPLIED_AT} - received_at) * 1000)::float8) as ms
     from webhook_events where received_at >= $1::timestamptz`,
    [clock?.now],
  );
  return {
    figures: {
      "answer p50, ms": quantile(load.latencies, 0.5),
      "answer p99, ms": quantile(load.latencies, 0.99),
      "row p50, ms": lag?.ms?.[0] ?? NaN,
      "row p99, ms": lag?.ms?.[1] ?? NaN,
      "of a core, %": (cpu / load.seconds) * 100,
      "memory, MiB": peakResidentMiB(pid),
    },
    problems: [
      ...(await findLost(system, [warmUp, load])),
      ...(await findUnapplied(system)),
    ],
  };
}

/** @param {System} system */
async function untilApplied({ query }) {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    // In the order of an index: to read the table each time would take time on the cores that are measured.
    const waiting = await query(
      "select from webhook_events where state = 'received' order by coalesce(hinted_at, received_at) limit 1",
    );
    if (waiting.length === 0) return;
    await sleep(200);
  }
}

/** What was not accepted, or was and is not in the inbox. @param {System} system @param {readonly Load[]} loads */
async function findLost({ query }, loads) {
  const total = (/** @type {"accepted" | "refused" | "failed"} */ name) =>
    loads.reduce((sum, load) => sum + load[name], 0);
  const [row] = await query("select count(*)::int as kept from webhook_events");
  return describe([
    [total("refused"), "answers were not 200"],
    [total("failed"), "requests had no answer"],
    [total("accepted") === 0 ? 1 : 0, "load without an accepted event"],
    [total("accepted") - row?.kept, "events were accepted and are not kept"],
  ]);
}

/** What is in the inbox and not in the tables. @param {System} system */
async function findUnapplied({ query }) {
  const [row] = await query(`
    select count(*) filter (where state <> 'processed')::int as waiting,
           count(distinct card_id)::int - (select count(*) from cards)::int as cards,
           count(*) filter (where event_type = 'issuing.transaction.authorization')::int
             - (select count(*) from authorizations)::int as authorizations
    from webhook_events`);
  return describe([
    [row?.waiting, "events were not applied"],
    [row?.cards, "cards are missing"],
    [row?.authorizations, "authorizations are missing"],
  ]);
}

/** @param {readonly (readonly [number, string])[]} counts @returns {string[]} */
function describe(counts) {
  return counts
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${String(count)} ${what}`);
}
