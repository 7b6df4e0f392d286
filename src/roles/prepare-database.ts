import { setTimeout as sleep } from "node:timers/promises";
import { migrate } from "../../db/migrate.ts";
import { ConfigError } from "../config.ts";
import type { Logger } from "../process/logger.ts";
import type { QueueConnection } from "../queue/queue-connection.ts";
import { migrateQueue } from "../queue/queue-connection.ts";
import { createDatabase, createPool } from "../store/database.ts";
import { describeError } from "../store/errors.ts";
import { examineDatabase } from "../store/examine-database.ts";
import { explainDatabaseFault } from "../store/explain-fault.ts";

/** As long as a database needs that is started together with this service. */
const CONNECT_PATIENCE_MS = 30_000;
const CONNECT_PAUSE_MS = 500;
/**
 * While a migration waits for a lock, every other session that wants the table waits behind it. So it gives up soon,
 * lets them pass and tries again; at first before the second after which PostgreSQL looks for a deadlock, which could end
 * another session's transaction. After many tries it waits longer: a worker whose transaction is ended just tries again.
 */
const LOCK_TIMEOUT_MS = { first: 800, max: 3_000 };
/** Another session may be reading a large table. */
const LOCK_PATIENCE_MS = 5 * 60_000;
const LOCK_PAUSE_MS = { first: 250, max: 5_000 };
/** A migration may rewrite a large table. */
const MIGRATION_TIMEOUT_MS = 30 * 60_000;

/**
 * Waits for the database and brings its schema, and the queue's, up to date.
 *
 * @returns the names of the migrations that were applied now
 * @throws ConfigError when the database does not come, does not let us in or cannot be used
 * @throws what else made a migration fail: the service must not start on an unknown schema
 */
export async function prepareDatabase(
  databaseUrl: string,
  connection: QueueConnection,
  log: Logger,
): Promise<string[]> {
  try {
    await waitUntilReachable(() => examineDatabase(databaseUrl), log);
    const applied = await untilLocksAreFree(
      (lockTimeoutMs) => migrateTables(databaseUrl, lockTimeoutMs, log),
      log,
    );
    await untilLocksAreFree(
      (lockTimeoutMs) => migrateQueue(connection, lockTimeoutMs),
      log,
    );
    if (applied.length > 0) log.info({ applied }, "database migrated");
    return applied;
  } catch (error) {
    const sentence = explainDatabaseFault(error);
    throw sentence === undefined ? error : new ConfigError(sentence);
  }
}

/** Migrations come beside processes that go on working, and each is one transaction: what failed has left nothing. */
async function untilLocksAreFree<Result>(
  work: (lockTimeoutMs: number) => Promise<Result>,
  log: Logger,
): Promise<Result> {
  const deadline = Date.now() + LOCK_PATIENCE_MS;
  let lockTimeoutMs = LOCK_TIMEOUT_MS.first;
  for (let pauseMs = LOCK_PAUSE_MS.first; ; pauseMs *= 2) {
    try {
      return await work(lockTimeoutMs);
    } catch (error) {
      if (!isLockFault(error) || Date.now() > deadline) throw error;
      const waitMs = Math.min(pauseMs, LOCK_PAUSE_MS.max);
      log.warn(
        { error: describeError(error), waitMs },
        "the migration waits for a lock that another session holds",
      );
      await sleep(waitMs);
      lockTimeoutMs = Math.min(
        Math.round(lockTimeoutMs * 1.25),
        LOCK_TIMEOUT_MS.max,
      );
    }
  }
}

/** The lock was not given in time, or two sessions waited for each other and this one gave way. */
function isLockFault(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    ["55P03", "40P01"].includes(String(error.code))
  );
}

async function migrateTables(
  databaseUrl: string,
  lockTimeoutMs: number,
  log: Logger,
): Promise<string[]> {
  const pool = createPool({
    url: databaseUrl,
    maxConnections: 1,
    queryTimeoutMs: MIGRATION_TIMEOUT_MS,
    lockTimeoutMs,
    applicationName: "uqpay-card-sync migrations",
    onError: (error) => {
      log.error({ error: describeError(error) }, "database connection lost");
    },
  });
  try {
    return await migrate(createDatabase(pool));
  } finally {
    await pool.end();
  }
}

async function waitUntilReachable(
  ask: () => Promise<unknown>,
  log: Logger,
): Promise<void> {
  const deadline = Date.now() + CONNECT_PATIENCE_MS;
  let hasWarned = false;
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      if (!isNotThereYet(error) || Date.now() > deadline) throw error;
      if (!hasWarned)
        log.warn({ error: describeError(error) }, "waiting for the database");
      hasWarned = true;
      await sleep(CONNECT_PAUSE_MS);
    }
  }
}

/** Refused, no socket yet, not resolvable or starting up (SQLSTATE 57P03); a wrong password will not get better. */
function isNotThereYet(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  const code = String(error.code);
  return (
    ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ECONNRESET", "57P03"].includes(
      code,
    ) ||
    (code === "ENOENT" && "syscall" in error)
  );
}
