// A server under test: the product or a baseline, as a process of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { SECRET } from "./events.mjs";

/** @typedef {{ pid: number, port: number, startedAtMs: number, stop: () => Promise<void> }} Server */

/** Every one writes a JSON line with "listening" and its port, as the product does. */
const PROGRAMS = {
  product: new URL("../../dist/src/main.js", import.meta.url),
  silent: new URL("../baselines/silent-product.mjs", import.meta.url),
  shell: new URL("../baselines/shell-without-database.mjs", import.meta.url),
  plain: new URL("../baselines/plain-service.mjs", import.meta.url),
  bare: new URL("../baselines/bare-http.mjs", import.meta.url),
  inbox: new URL("../baselines/shell-with-inbox.mjs", import.meta.url),
  least: new URL("../baselines/least-durable.mjs", import.meta.url),
  leastWorker: new URL("../baselines/least-worker.mjs", import.meta.url),
};

/** @typedef {keyof typeof PROGRAMS} Program */

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 10;
let count = 0;

/**
 * @param {object} options
 * @param {Program} options.program
 * @param {"all" | "api" | "worker"} options.role
 * @param {string} options.folder for its log
 * @param {string} options.databaseUrl
 * @param {string | undefined} options.redisUrl undefined: the queue is in PostgreSQL
 * @returns {Promise<Server>}
 */
export async function startServer({
  program,
  role,
  folder,
  databaseUrl,
  redisUrl,
}) {
  const log = join(folder, `server-${String(++count)}.log`);
  // A file, as a container's log is: a pipe would cost the reader's time on the same cores.
  const output = openSync(log, "a");
  const startedAtMs = Date.now();
  const child = spawn(process.execPath, [fileURLToPath(PROGRAMS[program])], {
    cwd: folder,
    env: {
      PATH: process.env.PATH ?? "",
      NODE_ENV: "production",
      HOST: "127.0.0.1",
      PORT: "0",
      OPS_PORT: "0",
      ROLE: role,
      DATABASE_URL: databaseUrl,
      ...(redisUrl && { REDIS_URL: redisUrl }),
      UQPAY_WEBHOOK_SECRET: SECRET,
    },
    stdio: ["ignore", output, output],
  });
  closeSync(output);
  const exited = once(child, "exit");
  // A run that is interrupted must not leave it behind.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const stop = async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(kill, STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
    process.off("exit", kill);
  };
  const port = await findPort(log, child);
  if (port !== undefined)
    return { pid: child.pid ?? 0, port, startedAtMs, stop };
  await stop();
  throw new Error(`${program} does not start: ${readFileSync(log, "utf8")}`);
}

/** @param {string} log @param {import("node:child_process").ChildProcess} child */
async function findPort(log, child) {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    const line = /^.*"msg":"listening".*$/m.exec(readFileSync(log, "utf8"));
    if (line) return /** @type {number} */ (JSON.parse(line[0]).port);
    await sleep(POLL_MS);
  }
  return undefined;
}
