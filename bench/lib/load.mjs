// Load from outside: each sender is a process of its own.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { findProgram } from "../../scripts/measuring/redis-server.mjs";

/**
 * @typedef {object} Load
 * @property {number} seconds
 * @property {number} [cpuSeconds] what the sender itself took of a processor
 * @property {number} requests that were answered
 * @property {number} refused of them, with anything but 200
 * @property {number} failed without an answer
 * @property {number} exhausted 1 when the requests ran out before the time
 * @property {number} p50Ms
 * @property {number} p90Ms
 * @property {number} p99Ms
 * @property {number} maxMs
 * @property {number} [lateP99Ms] how late the sender itself was
 * @property {number} [anyTimeP99Ms] of commits that follow each other: see `baselines/single-inserts.mjs`
 * @property {number} [discarded] further answers, which the figures leave out
 * @property {number} [tries] how many loads it took; 1 when it is not there
 */

/** @typedef {{ port: number, file: string, connections: number, seconds: number }} ClosedLoop */

const LUA = fileURLToPath(new URL("../load/requests.lua", import.meta.url));
const AUTOCANNON = new URL("../load/autocannon.mjs", import.meta.url);
const SCHEDULED = new URL("../load/scheduled.mjs", import.meta.url);
const WRK = findProgram(["wrk"]);

export const closedLoopSender = WRK === undefined ? "autocannon" : "wrk";

/** Each connection sends its next request when it has its answer. @param {ClosedLoop} options */
export function runClosedLoop(options) {
  if (WRK === undefined) return runNode(AUTOCANNON, options);
  const { port, file, connections, seconds } = options;
  return run(WRK, [
    "-t1",
    `-c${String(connections)}`,
    // wrk takes whole seconds only.
    `-d${String(Math.max(1, Math.round(seconds)))}s`,
    "--timeout=10s",
    ...["-s", LUA],
    `http://127.0.0.1:${String(port)}`,
    "--",
    file,
  ]);
}

/**
 * Sends at a fixed rate; without one, all of the file as fast as it is answered.
 *
 * @param {{ port: number, file: string, connections: number, rate?: number, seconds?: number }} options
 */
export function runScheduled(options) {
  return runNode(SCHEDULED, options);
}

/** @param {URL} script @param {object} options */
export function runNode(script, options) {
  return run(process.execPath, [
    fileURLToPath(script),
    JSON.stringify(options),
  ]);
}

/** @param {string} program @param {readonly string[]} args @returns {Promise<Load>} */
function run(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => (output += String(chunk)));
    child.on("error", reject);
    child.on("close", () => {
      process.off("exit", kill);
      const result = /^RESULT (.*)$/m.exec(output)?.[1];
      if (result === undefined) reject(new Error(`${program}: ${output}`));
      else resolve(JSON.parse(result));
    });
  });
}
