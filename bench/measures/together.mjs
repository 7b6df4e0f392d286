// Ingest and reconcile at once: what a machine does when it does everything.
import { setTimeout as sleep } from "node:timers/promises";
import { putUnderLoad } from "../lib/put-under-load.mjs";
import { withSystem } from "../lib/system.mjs";
import { findMissing } from "../lib/verify.mjs";
import { halfRateOf } from "./cell.mjs";

/** @typedef {import("./cell.mjs").Cell} Cell */
/** @typedef {import("../lib/system.mjs").System} System */
/** @typedef {import("../lib/put-under-load.mjs").LoadOptions} LoadOptions */

const CONNECTIONS = 128;
/** For events that were taken in by the end, so that the lag of all is known. */
const PATIENCE_MS = 15_000;
const POLL_MS = 100;

/**
 * @param {"product" | "plain"} program @param {import("./cell.mjs").QueueKind} queue
 * @returns {Cell}
 */
export function together(program, queue) {
  return {
    key: `${program} together on ${queue}`,
    run: (context) => runTogether(context, { program, queue }),
  };
}

/** @param {import("./cell.mjs").QueueKind} queue @returns {Cell} */
export function sustained(queue) {
  return {
    key: `product together on ${queue}, sustained`,
    run: (context) =>
      runTogether(context, {
        program: "product",
        queue,
        seconds: context.options.short ? context.options.seconds : 60,
      }),
  };
}

/** @param {Cell} full @param {import("./cell.mjs").QueueKind} queue @returns {Cell} */
export function halfTogether(full, queue) {
  return {
    key: `open loop at half of: ${full.key}`,
    run: (context) =>
      runTogether(context, {
        program: "product",
        queue,
        rate: halfRateOf(context, full),
      }),
  };
}

/**
 * @param {import("./cell.mjs").Context} context
 * @param {{ program: "product" | "plain", queue: import("./cell.mjs").QueueKind, seconds?: number, rate?: number }} what
 */
async function runTogether(
  { environment, options },
  { program, queue, seconds = options.seconds, rate },
) {
  const { warmUp, measured, applied, lag, rows } = await withSystem(
    environment,
    {
      program,
      queue,
      roles: options.roles === "split" ? ["api", "worker"] : ["all"],
    },
    async (system) => {
      const connections = CONNECTIONS;
      const warmUp = await putUnderLoad(system, {
        connections,
        seconds: options.warmUpSeconds,
      });
      if (program === "product") await waitUntilApplied(system);
      const startedAt = await readClock(system);
      const measured = await putUnderLoad(system, {
        connections,
        seconds,
        ...(rate && { rate }),
      });
      const applied = await readApplied(system, startedAt, measured.seconds);
      // The baseline's backlog may take minutes, and nothing is asked about its lag.
      if (program === "product") await waitUntilApplied(system);
      return {
        warmUp,
        measured,
        applied,
        lag: await readLag(system, startedAt),
      };
    },
  );
  return {
    ...measured,
    appliedRate: applied.count / measured.seconds,
    backlogSeconds: applied.waiting / measured.rate,
    lagP50Ms: lag.p50,
    lagP99Ms: lag.p99,
    problems: [
      ...findMissing([warmUp, measured], rows, CONNECTIONS),
      ...(applied.failed > 0 ? [`${String(applied.failed)} failed`] : []),
    ],
  };
}

/** @param {System} system @returns {Promise<string>} */
async function readClock({ database }) {
  const [row] = await database.rows("select clock_timestamp()::text as now");
  return row?.now;
}

/**
 * What was applied while the load lasted, and what waits at its end.
 *
 * @param {System} system @param {string} startedAt @param {number} seconds
 */
async function readApplied({ database }, startedAt, seconds) {
  const [row] = await database.rows(
    `select count(*) filter (where processed_at between load.began and load.began + make_interval(secs => $2))::int as count,
            count(*) filter (where state = 'received')::int as waiting,
            count(*) filter (where state = 'failed')::int as failed
     from webhook_events,
          (select min(received_at) as began from webhook_events where received_at >= $1::timestamptz) as load`,
    [startedAt, seconds],
  );
  return {
    count: row?.count ?? 0,
    waiting: row?.waiting ?? 0,
    failed: row?.failed ?? 0,
  };
}

/** From commit to projection, in ms. @param {System} system @param {string} startedAt */
async function readLag({ database }, startedAt) {
  const [row] = await database.rows(
    `select (1000 * percentile_cont(0.5) within group (order by lag))::float8 as p50,
            (1000 * percentile_cont(0.99) within group (order by lag))::float8 as p99
     from (
       select extract(epoch from coalesce(processed_at, clock_timestamp()) - received_at) as lag
       from webhook_events where received_at >= $1::timestamptz
     ) events`,
    [startedAt],
  );
  return { p50: row?.p50 ?? NaN, p99: row?.p99 ?? NaN };
}

/** @param {System} system */
async function waitUntilApplied({ database }) {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    const [row] = await database.rows(
      "select exists (select from webhook_events where state = 'received') as waits",
    );
    if (!row?.waits) return;
    await sleep(POLL_MS);
  }
}
