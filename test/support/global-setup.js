// Starts the servers of the integration and end-to-end tests, once for the whole run. Plain JavaScript on what
// `npm run build` made: Jest loads this file itself, outside of ts-jest.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import {
  findRedisServer,
  startRedis as startOwnRedis,
} from "../../scripts/measuring/redis-server.mjs";

const TEMPLATE = "uqpay_template";

/** What was started, in the order in which it was started; global-teardown.js ends it. */
export const started = [];

/** @returns {Promise<void>} */
export default async function startServers() {
  try {
    await startPostgres();
    await startRedis();
  } catch (error) {
    await stopServers();
    throw error;
  }
}

export async function stopServers() {
  while (started.length > 0) await started.pop()();
}

async function startPostgres() {
  const { startEmbeddedPostgres } = await fromBuild(
    "src/embedded/embedded-postgres.js",
  );
  const dataDir = scratchDirectory("uqpay-test-postgres-");
  const postgres = await startEmbeddedPostgres({
    dataDir,
    durable: false,
    // Test files run in parallel, and each opens several pools.
    settings: { max_connections: "300" },
  });
  started.push(() => postgres.stop());
  await makeTemplate(postgres.url("postgres"), postgres.url(TEMPLATE));
  process.env.TEST_POSTGRES_URL = postgres.url("postgres");
}

/** Migrated once, cloned by each test file: a clone costs a tenth of the migrations. */
async function makeTemplate(superuserUrl, templateUrl) {
  const { migrate } = await fromBuild("db/migrate.js");
  const { migrateQueue } = await fromBuild("src/queue/queue-connection.js");

  await runSql(superuserUrl, `create database ${TEMPLATE}`);
  const pool = new pg.Pool({ connectionString: templateUrl, max: 2 });
  const db = new Kysely({ dialect: new PostgresDialect({ pool }) });
  try {
    await migrate(db);
  } finally {
    await db.destroy();
  }
  await migrateQueue({ kind: "postgres", url: templateUrl });
  // A database that somebody is connected to cannot be cloned.
  await runSql(
    superuserUrl,
    `alter database ${TEMPLATE} with is_template true allow_connections false`,
  );
}

async function startRedis() {
  if (process.env.REDIS_URL) {
    process.env.TEST_REDIS_URL = process.env.REDIS_URL;
    return;
  }
  if (findRedisServer() === undefined) return missRedis();
  process.env.TEST_REDIS_URL = await startOwnRedis({
    folder: scratchDirectory("uqpay-test-redis-"),
    undo: started,
  });
}

function missRedis() {
  const missing =
    "no REDIS_URL is set and no redis-server or valkey-server is on the PATH";
  if (process.env.CI === "true")
    throw new Error(`With CI=true no suite may be skipped, but ${missing}.`);
  const line = "#".repeat(missing.length + 4);
  process.stderr.write(
    `\n${line}\n# THE REDIS SUITES ARE SKIPPED:\n# ${missing}.\n${line}\n\n`,
  );
}

async function runSql(url, text) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

function scratchDirectory(prefix) {
  const path = mkdtempSync(join(tmpdir(), prefix));
  started.push(() => {
    rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  });
  return path;
}

async function fromBuild(path) {
  const url = new URL(`../../dist/${path}`, import.meta.url);
  if (!existsSync(url))
    throw new Error(`dist/${path} is missing: run "npm run build" first`);
  return import(url.href);
}
