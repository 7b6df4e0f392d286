// Load on a system, and what its processes and the machine did meanwhile.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { sum } from "../../scripts/measuring/numbers.mjs";
import {
  cpuSeconds,
  peakResidentMiB,
  withChildren,
} from "../../scripts/measuring/process-figures.mjs";
import { writeRequests } from "./events.mjs";
import { runClosedLoop, runScheduled } from "./load.mjs";
import { postgresCpuSeconds, readMachine, stealSince } from "./machine.mjs";

/** @typedef {import("./system.mjs").System} System */

/**
 * @typedef {object} LoadOptions
 * @property {number} connections
 * @property {number} seconds
 * @property {number} [rate] a second, at scheduled times; without it a closed loop
 * @property {number} [copies] see `writeRequests`
 * @property {boolean} [isForged]
 */

/**
 * @typedef {import("./load.mjs").Load & {
 *   rate: number, cpuUs: number, postgresCpuUs: number, senderCpuUs: number, peakMiB: number, steal: number,
 *   discarded: number, tries: number
 * }} Measured
 *   discarded: answers of tries whose requests ran out; tries: these and the one that counts; cpuUs: the servers'
 *   processor time for each answer, in microseconds; senderCpuUs: the sender's, which tells how fast the machine was
 */

/** What a closed loop may answer a second, until this system has shown its rate; too many requests cost only time. */
const FIRST_GUESS = 10_000;
/** Just-in-time code may double the rate of the warm-up. */
const RESERVE = 2.5;
const MOST_TRIES = 4;
/** @type {WeakMap<System, number>} How many requests a second to sign. */
const expected = new WeakMap();
let files = 0;

/** @param {System} system @param {LoadOptions} options @returns {Promise<Measured>} */
export async function putUnderLoad(system, options) {
  let discarded = 0;
  for (let tries = 1; ; tries++) {
    const measured = { ...(await loadOnce(system, options)), discarded, tries };
    expected.set(system, measured.rate * RESERVE);
    if (measured.exhausted === 0) return measured;
    discarded += measured.requests - measured.refused;
    if (tries === MOST_TRIES) throw new Error("the requests ran out");
  }
}

/** @param {System} system @param {LoadOptions} options @returns {Promise<Omit<Measured, "discarded" | "tries">>} */
async function loadOnce(system, options) {
  const { connections, seconds, rate } = options;
  const file = join(
    system.environment.folder,
    `requests-${String(++files)}.bin`,
  );
  const count =
    Math.ceil((rate ?? expected.get(system) ?? FIRST_GUESS) * seconds) +
    connections;
  // Signed right before they are sent, so that all are within the tolerance.
  writeRequests(file, count, options);
  const before = readUsage(system);
  const port = system.servers()[0]?.port ?? 0;
  const load = await (rate === undefined
    ? runClosedLoop({ port, file, connections, seconds })
    : runScheduled({ port, file, connections, rate, seconds }));
  rmSync(file);
  const after = readUsage(system);
  return {
    ...load,
    rate: load.requests / load.seconds,
    cpuUs: ((after.cpu - before.cpu) / load.requests) * 1e6,
    postgresCpuUs: ((after.postgres - before.postgres) / load.requests) * 1e6,
    senderCpuUs: ((load.cpuSeconds ?? NaN) / load.requests) * 1e6,
    peakMiB: sum(
      withChildren(system.servers()[0]?.pid ?? 0).map(peakResidentMiB),
    ),
    steal: stealSince(before.machine),
  };
}

/** @param {System} system */
function readUsage(system) {
  return {
    cpu: sum(
      system
        .servers()
        .flatMap(({ pid }) => withChildren(pid))
        .map(cpuSeconds),
    ),
    postgres: postgresCpuSeconds(system.environment.postmaster),
    machine: readMachine(),
  };
}
