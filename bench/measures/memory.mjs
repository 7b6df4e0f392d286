// Whether memory stays flat: five minutes of closed loop, looked at once a second.
import { floors, rise, sum } from "../../scripts/measuring/numbers.mjs";
import { residentMiB } from "../../scripts/measuring/process-figures.mjs";
import { putUnderLoad } from "../lib/put-under-load.mjs";
import { withSystem } from "../lib/system.mjs";
import { findMissing } from "../lib/verify.mjs";

const MINUTES = 5;
const SAMPLE_MS = 1_000;
/** The requests of one stretch are signed before it begins: so none is stale. */
const STRETCH_SECONDS = 20;

/** @param {import("./cell.mjs").QueueKind} queue @param {number} connections @returns {import("./cell.mjs").Cell} */
export function memoryOverTime(queue, connections) {
  return {
    key: `memory of the product on ${queue}`,
    mostRuns: 1,
    run: async ({ environment }) => {
      const { loads, risenShare, rows } = await withSystem(
        environment,
        { program: "product", queue, roles: ["all"] },
        async (system) => {
          /** @type {number[]} */
          const samples = [];
          const timer = setInterval(() => {
            samples.push(residentMiB(system.servers()[0]?.pid ?? 0));
          }, SAMPLE_MS);
          const loads = [];
          const until = Date.now() + MINUTES * 60_000;
          while (Date.now() < until)
            loads.push(
              await putUnderLoad(system, {
                connections,
                seconds: STRETCH_SECONDS,
              }),
            );
          clearInterval(timer);
          return { loads, risenShare: riseOf(samples) };
        },
      );
      return {
        risenShare,
        peakMiB: loads.at(-1)?.peakMiB,
        steal: Math.max(...loads.map(({ steal }) => steal)),
        problems: findMissing(loads, rows, connections),
      };
    },
  };
}

/**
 * By which share the second half's floor rises: the first half is for caches and just-in-time code, and between two
 * collections memory goes up and down.
 *
 * @param {readonly number[]} samples
 */
function riseOf(samples) {
  const low = floors(samples.slice(samples.length >> 1));
  const mean = sum(low) / low.length;
  return rise(low) / mean;
}
