// What every load test stands on: the real service as a child process, on a PostgreSQL (and a Redis) of its own,
// and eyes on it from outside. Plain JavaScript on what `npm run build` made, since Node 20 runs no TypeScript.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import pg from "pg";
import { startEmbeddedPostgres } from "../../dist/dev/embedded-postgres/embedded-postgres.js";
import { startRedis } from "../../scripts/measuring/redis-server.mjs";

export { formatTable } from "../../scripts/measuring/format-table.mjs";
export * from "../../scripts/measuring/numbers.mjs";
export * from "../../scripts/measuring/process-figures.mjs";

export const SECRET = "whsec_load_test";

const MAIN = fileURLToPath(new URL("../../dist/src/main.js", import.meta.url));
const START_TIMEOUT_MS = 30_000;
/** More than the service's own deadline of 25 s. */
const STOP_TIMEOUT_MS = 30_000;

// Ends by way of "exit", whose listeners end what was started; a signal alone would leave all of it behind.
for (const signal of ["SIGINT", "SIGTERM"])
  process.once(signal, () => process.exit(1));

/**
 * @typedef {object} System
 * @property {number} port where the service listens
 * @property {number} pid
 * @property {string} databaseUrl
 * @property {(sql: string, values?: readonly unknown[]) => Promise<Record<string, any>[]>} rows
 * @property {Redis | undefined} redis
 * @property {() => string | undefined} ended how the service ended, if it did
 * @property {readonly Record<string, any>[]} errors what it logged as an error, the first hundred
 * @property {() => Promise<void>} stop ends everything and removes its files
 */

/**
 * @param {{ queue: "redis" | "postgres", durable?: boolean, env?: Record<string, string> }} options
 * @returns {Promise<System>}
 */
export async function startSystem({ queue, durable = true, env = {} }) {
  /** @type {(() => unknown)[]} */
  const undo = [];
  const stop = async () => {
    while (undo.length > 0) await undo.pop()?.();
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), "load-uqpay-"));
    undo.push(() => {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    });
    const postgres = await startEmbeddedPostgres({
      dataDir: join(folder, "postgres"),
      durable,
    });
    undo.push(() => postgres.stop());
    const databaseUrl = postgres.url();
    const redisUrl =
      queue === "redis" ? await startRedis({ folder, undo }) : undefined;
    const service = await startProcess(folder, {
      PORT: "0",
      DATABASE_URL: databaseUrl,
      ...(redisUrl && { REDIS_URL: redisUrl }),
      UQPAY_WEBHOOK_SECRET: SECRET,
      // A line for each flush is not what is measured here.
      LOG_LEVEL: "error",
      ...env,
    });
    undo.push(service.stop);
    const pool = new pg.Pool({
      connectionString: databaseUrl,
      max: 2,
      application_name: "load test",
    });
    pool.on("error", () => undefined);
    undo.push(() => pool.end());
    const redis = redisUrl === undefined ? undefined : new Redis(redisUrl);
    undo.push(() => redis?.disconnect());
    return {
      port: service.port,
      pid: service.pid,
      databaseUrl,
      rows: async (sql, values = []) =>
        (await pool.query(sql, [...values])).rows,
      redis,
      ended: service.ended,
      errors: service.errors,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @param {string} folder @param {Record<string, string>} env */
async function startProcess(folder, env) {
  const child = spawn(process.execPath, [MAIN], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? "", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  /** @type {Record<string, any>[]} */
  const errors = [];
  let lastWords = "";
  const listening = new Promise((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      // "listening" is written at `info`; below that level the URL in the banner says the same.
      const port = /127\.0\.0\.1:(\d+)\/webhooks/.exec(line)?.[1];
      if (port !== undefined) resolve(Number(port));
      const entry = line.startsWith("{") ? JSON.parse(line) : {};
      if (entry.msg === "listening") resolve(entry.port);
      if (entry.level >= 50 && errors.length < 100) errors.push(entry);
    });
  });
  createInterface({ input: child.stderr }).on("line", (line) => {
    lastWords = `${lastWords}\n${line}`.slice(-4_000);
    process.stderr.write(`[service] ${line}\n`);
  });
  /** @type {string | undefined} */
  let end;
  const exited = once(child, "exit").then(([code, signal]) => {
    end = `${signal ?? `exit ${String(code)}`} ${lastWords}`;
  });
  // A run that is interrupted must not leave the service behind.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const stop = async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(kill, STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
    process.off("exit", kill);
  };
  const port = await Promise.race([
    listening,
    exited.then(() => undefined),
    sleep(START_TIMEOUT_MS, undefined, { ref: false }),
  ]);
  if (port === undefined) {
    await stop();
    throw new Error(`the service does not start: ${lastWords}`);
  }
  return { port, pid: child.pid ?? 0, errors, ended: () => end, stop };
}

/**
 * The service's own figures.
 *
 * @param {number} port
 * @returns {Promise<Map<string, number>>} by name and labels, as they stand in the text
 */
export async function readMetrics(port) {
  const response = await fetch(`http://127.0.0.1:${String(port)}/metrics`, {
    signal: AbortSignal.timeout(10_000),
  });
  const lines = (await response.text()).split("\n");
  return new Map(
    lines
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => {
        const space = line.lastIndexOf(" ");
        return [line.slice(0, space), Number(line.slice(space + 1))];
      }),
  );
}

/**
 * Waits until no event waits to be applied.
 *
 * @param {System} system @param {number} timeoutMs
 * @returns {Promise<number>} how many still wait
 */
export async function waitUntilApplied(system, timeoutMs) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const [row] = await system.rows(
      "select count(*)::int as count from webhook_events where state = 'received'",
    );
    if (row?.count === 0 || Date.now() > deadline) return row?.count ?? 0;
    await sleep(100);
  }
}

/** Collects what does not hold, and ends the process with 1 if anything does not. */
export class Verdict {
  /** @type {string[]} */
  #faults = [];
  /** @param {boolean} holds @param {string} rule */
  check(holds, rule) {
    process.stdout.write(`${holds ? "  ok   " : "  FAIL "}${rule}\n`);
    if (!holds) this.#faults.push(rule);
  }
  finish() {
    const count = this.#faults.length;
    process.stdout.write(
      count === 0 ? "\npassed\n" : `\n${String(count)} failed\n`,
    );
    process.exitCode = count === 0 ? 0 : 1;
  }
}

/**
 * Reads `--name value` from the command line.
 *
 * @template {Record<string, number | string>} Options
 * @param {Options} defaults
 * @returns {Options}
 */
export function readOptions(defaults) {
  const options = { ...defaults };
  const args = process.argv.slice(2);
  for (let index = 0; index < args.length; index += 2) {
    const name = args[index]?.replace(/^--/, "") ?? "";
    const value = args[index + 1];
    if (!(name in defaults) || value === undefined)
      throw new Error(
        `options: ${Object.entries(defaults)
          .map(([key, d]) => `--${key} ${String(d)}`)
          .join(" ")}`,
      );
    const isNumber = typeof defaults[name] === "number";
    if (isNumber && !Number.isFinite(Number(value)))
      throw new Error(`--${name} must be a number`);
    Object.assign(options, { [name]: isNumber ? Number(value) : value });
  }
  return options;
}
