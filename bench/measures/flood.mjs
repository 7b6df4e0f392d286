// A flood of forged requests: how fast it is refused, and what genuine senders feel of it.
import { setTimeout as sleep } from "node:timers/promises";
import { putUnderLoad } from "../lib/put-under-load.mjs";
import { withSystem } from "../lib/system.mjs";
import { findFaults } from "../lib/verify.mjs";
import { halfRateOf } from "./cell.mjs";

/** @typedef {import("./cell.mjs").Cell} Cell */

/** Far below what anything takes, so that only the flood is felt; enough for a p99. */
const GENUINE_RATE = 200;
const GENUINE_CONNECTIONS = 16;
/** Of the flood, before and after the genuine events. */
const LEAD_SECONDS = 1;

/**
 * @param {"product" | "bare"} program @param {import("./cell.mjs").QueueKind} queue @param {number} connections
 * @returns {Cell}
 */
export function forgedFlood(program, queue, connections) {
  return {
    key: `forged flood on ${program}`,
    run: async ({ environment, options: { seconds, warmUpSeconds } }) => {
      const load = { connections, isForged: true };
      const { flood, rows } = await withSystem(
        environment,
        { program, queue, roles: ["api"] },
        async (system) => {
          await putUnderLoad(system, { ...load, seconds: warmUpSeconds });
          return { flood: await putUnderLoad(system, { ...load, seconds }) };
        },
      );
      return { ...flood, problems: findAccepted(flood, rows) };
    },
  };
}

/** @param {import("../lib/load.mjs").Load} flood @param {number} [rows] */
function findAccepted(flood, rows = 0) {
  return [
    ...(flood.refused < flood.requests ? ["a forged request got 200"] : []),
    ...(flood.failed > 0 ? [`${String(flood.failed)} had no answer`] : []),
    ...(rows > 0 ? [`${String(rows)} rows of forged requests`] : []),
  ];
}

/**
 * Genuine events at a low rate, alone and under a flood of half the capacity.
 *
 * @param {Cell} full @param {import("./cell.mjs").QueueKind} queue
 * @param {import("../lib/server.mjs").Program} [program] another one under the same flood
 * @returns {Cell}
 */
export function genuineUnderFlood(full, queue, program = "product") {
  return {
    key: `genuine events to ${program} at half of: ${full.key}`,
    run: async (context) => {
      const { environment, options } = context;
      const { seconds, warmUpSeconds } = options;
      const genuine = { connections: GENUINE_CONNECTIONS, rate: GENUINE_RATE };
      const half = halfRateOf(context, full);
      const forged = { connections: 128, rate: half, isForged: true };
      const { warmUp, alone, under, flood, rows } = await withSystem(
        environment,
        { program, queue, roles: ["api"] },
        async (system) => {
          const warmUp = await putUnderLoad(system, {
            connections: 128,
            seconds: warmUpSeconds,
          });
          const alone = await putUnderLoad(system, { ...genuine, seconds });
          // Signed and begun before the genuine events, and over after them.
          const [flood, under] = await Promise.all([
            putUnderLoad(system, {
              ...forged,
              seconds: seconds + 2 * LEAD_SECONDS,
            }),
            sleep(LEAD_SECONDS * 1000).then(() =>
              putUnderLoad(system, { ...genuine, seconds }),
            ),
          ]);
          return { warmUp, alone, under, flood };
        },
      );
      return {
        rate: under.rate,
        p50Ms: under.p50Ms,
        p99Ms: under.p99Ms,
        steal: Math.max(alone.steal, under.steal),
        aloneP99Ms: alone.p99Ms,
        floodRate: flood.rate,
        problems: [
          ...findFaults(program, [warmUp, alone, under], rows, 128),
          ...findAccepted(flood),
        ],
      };
    },
  };
}
