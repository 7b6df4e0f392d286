// The worker alone: a backlog that was recorded and hinted by the program's own API, then a worker started on it.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { sum } from "../../scripts/measuring/numbers.mjs";
import {
  cpuSeconds,
  withChildren,
} from "../../scripts/measuring/process-figures.mjs";
import { writeRequests } from "../lib/events.mjs";
import { runScheduled } from "../lib/load.mjs";
import { readMachine, stealSince } from "../lib/machine.mjs";
import { withSystem } from "../lib/system.mjs";
import { findMissing } from "../lib/verify.mjs";

/** @typedef {import("../lib/system.mjs").System} System */

/** Some seconds' worth for each, with the warm-up: the baseline drains about a thousand and a half a second. */
const EVENTS_PER_SECOND_OF_RUN = {
  product: 10_000,
  plain: 1_500,
  leastWorker: 15_000,
};
/** Of the events: what is applied before is not counted, as with the other measures. */
const WARM_UP = 1 / 3;
const CONNECTIONS = 128;
const POLL_MS = 200;
const PATIENCE_MS = 120_000;

/**
 * @param {keyof typeof EVENTS_PER_SECOND_OF_RUN} program @param {import("./cell.mjs").QueueKind} queue
 * @returns {import("./cell.mjs").Cell}
 */
export function drain(program, queue) {
  const sender = program === "leastWorker" ? "product" : program;
  return {
    key: `${program} drains on ${queue}`,
    run: async ({ environment, options }) => {
      const count = EVENTS_PER_SECOND_OF_RUN[program] * options.seconds;
      const { load, rate, left, cpuUs, steal, rows } = await withSystem(
        environment,
        { program: sender, queue, roles: ["api"] },
        async (system) => {
          const load = await deliver(system, count);
          const machine = readMachine();
          await system.switchTo(["worker"], program);
          const left = await waitUntilApplied(system);
          const [worker] = system.servers();
          const cpu = sum(withChildren(worker?.pid ?? 0).map(cpuSeconds));
          return {
            load,
            left,
            rate: await readRate(system, count * WARM_UP),
            // From the start of the process on, which is half a second of it.
            cpuUs: (cpu / count) * 1e6,
            steal: stealSince(machine),
          };
        },
      );
      return {
        rate,
        cpuUs,
        steal,
        problems: [
          ...findMissing([load], rows, 0),
          ...(left > 0 ? [`${String(left)} events were not applied`] : []),
        ],
      };
    },
  };
}

/** @param {System} system @param {number} count */
async function deliver(system, count) {
  const file = join(system.environment.folder, "backlog.bin");
  writeRequests(file, count);
  const port = system.servers()[0]?.port ?? 0;
  const load = await runScheduled({ port, file, connections: CONNECTIONS });
  rmSync(file);
  return load;
}

/** @param {System} system @returns {Promise<number>} how many still wait or failed */
async function waitUntilApplied({ database }) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    // One of them only: to count them would read the whole backlog each time, on the cores that are measured.
    const [waiting] = await database.rows(
      "select 1 from webhook_events where state = 'received' order by coalesce(hinted_at, received_at) limit 1",
    );
    if (waiting === undefined || Date.now() > deadline) break;
    await sleep(POLL_MS);
  }
  const [row] = await database.rows(
    "select count(*)::int as count from webhook_events where state <> 'processed'",
  );
  return row?.count ?? 0;
}

/**
 * Events a second between the end of one transaction and the end of the last. The events of the first ones are left
 * out; xmin names the transaction that wrote a row.
 *
 * @param {System} system @param {number} warmUp so many events are left out at least @returns {Promise<number>}
 */
async function readRate({ database }, warmUp) {
  const [row] = await database.rows(
    `
    with transactions as (
      select count(*) as events, max(processed_at) as ended_at
      from webhook_events where state = 'processed' group by xmin::text
    ), running as (
      select ended_at, sum(events) over (order by ended_at) as applied from transactions
    )
    select ((max(applied) - min(applied)) / nullif(extract(epoch from max(ended_at) - min(ended_at)), 0))::float8 as rate
    from running where applied >= $1`,
    [warmUp],
  );
  return row?.rate ?? NaN;
}
