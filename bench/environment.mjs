// What a run stands on: a durable PostgreSQL and a Redis of its own, a new database, an empty queue, new processes.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import pg from "pg";
import { startEmbeddedPostgres } from "../dist/dev/embedded-postgres/embedded-postgres.js";
import { startRedis } from "../scripts/measuring/redis-server.mjs";
import { SECRET } from "./events.mjs";

/** @typedef {"redis" | "postgres"} QueueKind */
/** @typedef {"all" | "api" | "worker"} Role */
/** @typedef {{ name: string, main: string, cli: string }} Program cli: its `migrate` makes the tables */
/** @typedef {{ pid: number, port: number, stop: (signal?: NodeJS.Signals) => Promise<void> }} Server */
/** @typedef {(sql: string, values?: readonly unknown[]) => Promise<Record<string, any>[]>} Query */
/** @typedef {{ query: Query, start: (role: Role) => Promise<Server> }} System */
/** @typedef {Awaited<ReturnType<typeof startEnvironment>>} Environment */

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 30_000;

/** All else is PostgreSQL's default: durable, with full page writes. */
const SETTINGS = {
  // No checkpoint falls into a run; each begins right after one, which keeps this much of old WAL to write over.
  max_wal_size: "8GB",
  min_wal_size: "2GB",
  checkpoint_timeout: "30min",
  // What a small production server has.
  shared_buffers: "512MB",
  // Tells when a row could be seen.
  track_commit_timestamp: "on",
};

const here = fileURLToPath(new URL(".", import.meta.url));

/** A build of the service. @param {string} name @param {string} folder of the repository @returns {Program} */
export function buildIn(name, folder) {
  const file = (/** @type {string} */ path) =>
    resolve(folder, "dist/src", path);
  return { name, main: file("main.js"), cli: file("cli.js") };
}

export const THIS_BUILD = buildIn("this build", join(here, ".."));

/** @type {Program} It uses the tables of this build. */
export const PLAIN_SERVICE = {
  name: "plain service",
  main: join(here, "plain-service.mjs"),
  cli: THIS_BUILD.cli,
};

/** @param {{ withRedis: boolean }} options */
export async function startEnvironment({ withRedis }) {
  /** @type {(() => unknown)[]} */
  const undo = [];
  const stop = async () => {
    while (undo.length > 0) await undo.pop()?.();
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), "bench-uqpay-"));
    const postgres = await startEmbeddedPostgres({
      dataDir: join(folder, "postgres"),
      settings: SETTINGS,
    });
    undo.push(() => postgres.stop());
    const redisUrl = withRedis
      ? await startRedis({ folder, undo, settings: [["--appendonly", "yes"]] })
      : undefined;
    // Also when the benchmark is interrupted, and after what writes to it was ended.
    process.once("exit", () => {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    });
    const admin = openPool(postgres.url("postgres"));
    undo.push(() => admin.end());
    const redis = redisUrl && new Redis(redisUrl);
    undo.push(() => redis?.disconnect());
    return { folder, postgres, redisUrl, redis, admin, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Runs a program on a new database and an empty queue, and leaves nothing of it behind.
 *
 * @template Result
 * @param {Environment} environment @param {Program} program @param {QueueKind} queue
 * @param {(system: System) => Promise<Result>} use
 * @returns {Promise<Result>}
 */
export async function withSystem(environment, program, queue, use) {
  const { admin, postgres, folder } = environment;
  const redisUrl = queue === "redis" ? environment.redisUrl : undefined;
  await admin.query("create database bench");
  const pool = openPool(postgres.url("bench"));
  /** @type {Server[]} */
  const servers = [];
  const env = {
    PATH: process.env.PATH ?? "",
    NODE_ENV: "production",
    HOST: "127.0.0.1",
    PORT: "0",
    OPS_PORT: "0",
    DATABASE_URL: postgres.url("bench"),
    ...(redisUrl && { REDIS_URL: redisUrl }),
    UQPAY_WEBHOOK_SECRET: SECRET,
  };
  try {
    await promisify(execFile)(process.execPath, [program.cli, "migrate"], {
      cwd: folder,
      env,
    });
    await environment.redis?.flushall();
    await admin.query("checkpoint");
    return await use({
      query: async (sql, values = []) =>
        (await pool.query(sql, [...values])).rows,
      start: async (role) => {
        const server = await startServer(program, folder, {
          ...env,
          ROLE: role,
        });
        servers.push(server);
        return server;
      },
    });
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
    await pool.end();
    await admin.query("drop database bench with (force)");
  }
}

/**
 * Starts a program as a process of its own, and waits until it has written a JSON line with "listening" and its port.
 *
 * @param {Program} program @param {string} folder @param {Record<string, string>} env
 * @returns {Promise<Server>}
 */
async function startServer({ name, main }, folder, env) {
  const log = join(folder, "server.log");
  // A file, as a container's log is: to read a pipe would take time on the cores that are measured.
  const output = openSync(log, "w");
  const child = spawn(process.execPath, [main], {
    cwd: folder,
    env,
    stdio: ["ignore", output, output],
  });
  closeSync(output);
  const exited = once(child, "exit");
  const kill = () => child.kill("SIGKILL");
  // Also when the benchmark is interrupted.
  process.once("exit", kill);
  const stop = async (/** @type {NodeJS.Signals} */ signal = "SIGTERM") => {
    child.kill(signal);
    const timer = setTimeout(kill, STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
    process.off("exit", kill);
  };
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    const line = /^.*"msg":"listening".*$/m.exec(readFileSync(log, "utf8"));
    if (line !== null)
      return { pid: child.pid ?? 0, port: JSON.parse(line[0]).port, stop };
    await sleep(10);
  }
  await stop();
  throw new Error(`${name} does not start: ${readFileSync(log, "utf8")}`);
}

function openPool(url) {
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  pool.on("error", () => undefined);
  return pool;
}
