// Durable answers: the role `api` alone.
import { putUnderLoad } from "../lib/put-under-load.mjs";
import { withSystem } from "../lib/system.mjs";
import { findFaults, findRefused, triesOf } from "../lib/verify.mjs";
import { halfRateOf } from "./cell.mjs";

/** @typedef {import("./cell.mjs").Cell} Cell */

/** Of the open loop: enough that a request hardly ever waits for a free one. */
const OPEN_CONNECTIONS = 128;

/**
 * @param {import("../lib/server.mjs").Program} program
 * @param {import("./cell.mjs").QueueKind} queue @param {number} connections
 * @returns {Cell}
 */
export function closedLoop(program, queue, connections) {
  return {
    key: `${program} on ${queue}, ${String(connections)} connections`,
    run: ({ environment, options }) =>
      runIngest(environment, options, {
        program,
        queue,
        connections,
      }),
  };
}

/**
 * @typedef {object} Ingest
 * @property {import("../lib/server.mjs").Program} program
 * @property {import("./cell.mjs").QueueKind} queue
 * @property {number} connections
 * @property {number} [rate]
 * @property {import("../lib/environment.mjs").Database} [database]
 */

/**
 * @param {import("../lib/environment.mjs").Environment} environment
 * @param {import("../lib/options.mjs").Options} options @param {Ingest} ingest
 */
export async function runIngest(
  environment,
  { seconds, warmUpSeconds },
  { program, queue, connections, rate, database },
) {
  const system = {
    program,
    queue,
    roles: /** @type {const} */ (["api"]),
  };
  const { warmUp, measured, rows, walBytes, fsyncs } = await withSystem(
    environment,
    { ...system, ...(database && { database }) },
    async (running) => ({
      warmUp: await putUnderLoad(running, {
        connections,
        seconds: warmUpSeconds,
      }),
      measured: await putUnderLoad(running, {
        connections,
        seconds,
        ...(rate && { rate }),
      }),
    }),
  );
  const loads = [warmUp, measured];
  return {
    ...measured,
    walBytesPerEvent: walBytes / rows,
    fsyncsPerEvent: fsyncs / rows,
    problems: findFaults(program, loads, rows, connections),
  };
}

/**
 * Open loop at half of what the closed loop takes: queues show here, not there.
 *
 * @param {Cell} full @param {import("./cell.mjs").QueueKind} queue
 * @param {import("../lib/server.mjs").Program} [program] another one at the same rate
 * @returns {Cell}
 */
export function halfRate(full, queue, program = "product") {
  return {
    key: `${program} in open loop at half of: ${full.key}`,
    run: (context) =>
      runIngest(context.environment, context.options, {
        program,
        queue,
        connections: OPEN_CONNECTIONS,
        rate: halfRateOf(context, full),
      }),
  };
}

/** @param {import("./cell.mjs").QueueKind} queue @param {number} rate @returns {Cell} */
export function fixedRate(queue, rate) {
  return {
    key: `open loop at ${String(rate)}/s on ${queue}`,
    run: ({ environment, options }) =>
      runIngest(environment, options, {
        program: "product",
        queue,
        connections: OPEN_CONNECTIONS,
        rate,
      }),
  };
}

/**
 * Nine of ten requests repeat an earlier one.
 *
 * @param {import("./cell.mjs").QueueKind} queue @param {number} connections @returns {Cell}
 */
export function duplicateStorm(queue, connections) {
  return {
    key: `duplicate storm on ${queue}`,
    run: async ({ environment, options: { seconds, warmUpSeconds } }) => {
      const { loads, rows, accepted } = await withSystem(
        environment,
        { program: "product", queue, roles: ["api"] },
        async (system) => ({
          loads: [
            await putUnderLoad(system, { connections, seconds: warmUpSeconds }),
            await putUnderLoad(system, { connections, seconds, copies: 0.9 }),
          ],
          accepted: await readAccepted(system.servers()[0]?.port ?? 0),
        }),
      );
      const [, storm] =
        /** @type {[any, import("../lib/put-under-load.mjs").Measured]} */ (
          loads
        );
      return {
        ...storm,
        problems: [
          ...findRefused(loads),
          ...findUnexplained(rows, accepted, connections * triesOf(loads)),
        ],
      };
    },
  };
}

/**
 * What was under way when the sender ended is stored, but its answer reached nobody.
 *
 * @param {number} rows @param {number} accepted @param {number} inFlight
 */
function findUnexplained(rows, accepted, inFlight) {
  return rows >= accepted && rows <= accepted + inFlight
    ? []
    : [`${String(accepted)} accepted, but ${String(rows)} rows`];
}

/** How often the product answered "accepted", by its own count. @param {number} port */
async function readAccepted(port) {
  const response = await fetch(`http://127.0.0.1:${String(port)}/metrics`);
  const text = await response.text();
  return Number(
    /^uqpay_webhook_requests_total\{outcome="accepted"\} (\d+)/m.exec(
      text,
    )?.[1],
  );
}
