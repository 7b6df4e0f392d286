// What the servers under test stand on: a durable PostgreSQL, a Redis with an append-only file, and a new database for
// each run.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import pg from "pg";
import { startEmbeddedPostgres } from "../../dist/dev/embedded-postgres/embedded-postgres.js";
import { createLogger } from "../../dist/src/process/logger.js";
import { prepareDatabase } from "../../dist/src/roles/prepare-database.js";
import {
  findRedisServer,
  startRedis,
} from "../../scripts/measuring/redis-server.mjs";
import { parentOf } from "./machine.mjs";

/** @typedef {"redis" | "postgres"} QueueKind */

/**
 * @typedef {object} Database
 * @property {string} url
 * @property {(sql: string, values?: readonly unknown[]) => Promise<Record<string, any>[]>} rows
 * @property {() => Promise<void>} drop
 */

/**
 * @typedef {object} Environment
 * @property {string} folder
 * @property {string | undefined} redisUrl undefined where no Redis is installed
 * @property {number} postmaster
 * @property {() => Promise<Database>} freshDatabase with this build's tables
 * @property {() => Promise<Database>} emptyDatabase
 * @property {() => Promise<void>} emptyRedis
 * @property {(name: string) => Database} openDatabase
 * @property {() => Promise<{ bytes: number, fsyncs: number }>} readWal since the server was made
 * @property {() => Promise<void>} stop
 */

const TEMPLATE = "bench_template";

/** All else is PostgreSQL's default: durable, with full page writes. */
const SETTINGS = {
  // Baseline F holds a connection for each client.
  max_connections: "400",
  // No checkpoint for its size falls into a run; each begins right after one.
  max_wal_size: "8GB",
  checkpoint_timeout: "30min",
  // What a small production server has; the default is for a machine of 2005.
  shared_buffers: "512MB",
  // A checkpoint keeps so much of old WAL to write over: see `useOnce`.
  min_wal_size: "2GB",
};

/** More than the shared buffers hold. */
const USED_ROWS = 600_000;
const USED_ROW_BYTES = 1_000;

/** @returns {Promise<Environment>} */
export async function startEnvironment() {
  /** @type {(() => unknown)[]} */
  const undo = [];
  const stop = async () => {
    while (undo.length > 0) await undo.pop()?.();
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), "bench-uqpay-"));
    undo.push(() => {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    });
    const postgres = await startEmbeddedPostgres({
      dataDir: join(folder, "postgres"),
      settings: SETTINGS,
    });
    undo.push(() => postgres.stop());
    const redisUrl = await startDurableRedis(folder, undo);
    return {
      folder,
      redisUrl,
      ...(await openServer((name) => postgres.url(name), undo)),
      emptyRedis: () => emptyRedis(redisUrl),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @param {string} folder @param {(() => unknown)[]} undo */
async function startDurableRedis(folder, undo) {
  if (findRedisServer() === undefined) return undefined;
  return startRedis({ folder, undo, settings: [["--appendonly", "yes"]] });
}

/** @param {string | undefined} url */
async function emptyRedis(url) {
  if (url === undefined) return;
  const redis = new Redis(url);
  await redis.flushall();
  redis.disconnect();
}

/** @param {(name: string) => string} urlOf @param {(() => unknown)[]} undo */
async function openServer(urlOf, undo) {
  const admin = openPool(urlOf("postgres"));
  undo.push(() => admin.end());
  await useOnce(admin);
  await admin.query(`create database ${TEMPLATE}`);
  const url = urlOf(TEMPLATE);
  await prepareDatabase(url, { kind: "postgres", url }, createLogger("error"));
  const { rows } = await admin.query("select pg_backend_pid() as pid");

  /** @param {string} name @returns {Database} */
  const openDatabase = (name) => {
    const pool = openPool(urlOf(name));
    return {
      url: urlOf(name),
      rows: async (sql, values = []) =>
        (await pool.query(sql, [...values])).rows,
      drop: async () => {
        await pool.end();
        await admin.query(`drop database ${name} with (force)`);
      },
    };
  };
  let count = 0;
  const copyOf = async (/** @type {string} */ template) => {
    const name = `bench_${String(++count)}`;
    await admin.query(`create database ${name} template ${template}`);
    return openDatabase(name);
  };
  return {
    postmaster: parentOf(rows[0]?.pid),
    openDatabase,
    freshDatabase: () => copyOf(TEMPLATE),
    emptyDatabase: () => copyOf("template0"),
    readWal: () => readWal(admin),
  };
}

/**
 * Makes a server that has been in use out of a new one, which would fill its WAL's files with zeroes and touch its buffers
 * for the first time while it is measured: a tenth of two cores at 10,000 events/s, in the first rounds only.
 *
 * @param {pg.Pool} admin
 */
async function useOnce(admin) {
  await admin.query("create table used (filler text)");
  await admin.query(
    "insert into used select repeat('x', $1) from generate_series(1, $2)",
    [USED_ROW_BYTES, USED_ROWS],
  );
  await admin.query("drop table used");
  await admin.query("checkpoint");
}

/** @param {pg.Pool} admin */
async function readWal(admin) {
  // A backend reports its counts when it ends, so the servers must have ended before.
  const { rows } = await admin.query(`
    select pg_current_wal_lsn() - '0/0' as bytes,
           (select sum(fsyncs) from pg_stat_io where object = 'wal') as fsyncs`);
  return { bytes: Number(rows[0].bytes), fsyncs: Number(rows[0].fsyncs) };
}

/** @param {string} url */
function openPool(url) {
  const pool = new pg.Pool({
    connectionString: url,
    max: 2,
    application_name: "benchmark",
  });
  pool.on("error", () => undefined);
  return pool;
}
