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

/** As which the service under test logs in, see `hostile` in database.ts. */
const HOSTILE_ROLE = "hostile_login";

/**
 * Whatever a server, a database or a role may set otherwise than the service needs it. Time-outs are as short as a
 * connection can just be made with.
 */
const HOSTILE_SETTINGS = {
  search_path: "nowhere",
  client_encoding: "LATIN1",
  DateStyle: "German, DMY",
  IntervalStyle: "sql_standard",
  TimeZone: "Asia/Kathmandu",
  bytea_output: "escape",
  extra_float_digits: "-15",
  standard_conforming_strings: "off",
  array_nulls: "off",
  transform_null_equals: "on",
  default_transaction_isolation: "serializable",
  default_transaction_deferrable: "on",
  synchronous_commit: "off",
  statement_timeout: "2s",
  lock_timeout: "1ms",
  idle_in_transaction_session_timeout: "1ms",
  idle_session_timeout: "2s",
  transaction_timeout: "2s",
  exit_on_error: "on",
  plan_cache_mode: "force_custom_plan",
  enable_indexscan: "off",
  enable_indexonlyscan: "off",
};

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
    "dev/embedded-postgres/embedded-postgres.js",
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
  await makeHostileRole(postgres.url("postgres"));
  process.env.TEST_POSTGRES_URL = postgres.url("postgres");
  process.env.TEST_HOSTILE_SETTINGS = JSON.stringify(HOSTILE_SETTINGS);
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

/** With the superuser's password and rights: only what it finds set differs. */
async function makeHostileRole(superuserUrl) {
  const { password } = new URL(superuserUrl);
  await runSql(
    superuserUrl,
    `create role ${HOSTILE_ROLE} superuser login password ${pg.escapeLiteral(password)};
     do $$
     declare
       setting record;
     begin
       for setting in select * from json_each_text(${pg.escapeLiteral(JSON.stringify(HOSTILE_SETTINGS))}) loop
         -- transaction_timeout came with PostgreSQL 17
         if current_setting(setting.key, true) is not null then
           execute format('alter role ${HOSTILE_ROLE} set %s = %L', setting.key, setting.value);
         end if;
       end loop;
     end $$`,
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
