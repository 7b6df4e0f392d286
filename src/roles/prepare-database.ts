import { setTimeout as sleep } from "node:timers/promises";
import { migrate } from "../../db/migrate.ts";
import { ConfigError } from "../config.ts";
import type { Logger } from "../process/logger.ts";
import { createRateLimitedLog } from "../process/rate-limited-log.ts";
import type { QueueConnection } from "../queue/queue-connection.ts";
import { migrateQueue } from "../queue/queue-connection.ts";
import { createDatabase, createPool } from "../store/database.ts";
import { describeError } from "../store/errors.ts";
import { examineDatabase } from "../store/examine-database.ts";
import { explainDatabaseFault } from "../store/explain-fault.ts";
import { createErrorReporter } from "./error-reporter.ts";

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
    await patiently(() => examineDatabase(databaseUrl), UNREACHABLE, log);
    // Each migration is one transaction, beside processes that go on working: what failed has left nothing.
    const applied = await patiently(
      (tries) => migrateTables(databaseUrl, lockTimeoutMs(tries), log),
      LOCKED,
      log,
    );
    await patiently(
      (tries) => migrateQueue(connection, lockTimeoutMs(tries)),
      LOCKED,
      log,
    );
    if (applied.length > 0) log.info({ applied }, "database migrated");
    return applied;
  } catch (error) {
    const sentence = explainDatabaseFault(error);
    throw sentence === undefined ? error : new ConfigError(sentence);
  }
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
    onError: createErrorReporter(log, "database connection lost"),
  });
  try {
    return await migrate(createDatabase(pool));
  } finally {
    await pool.end();
  }
}

/** A fault that passes by itself, and how long it is waited for. */
interface Patience {
  readonly passes: (code: string, error: Error) => boolean;
  readonly message: string;
  readonly forMs: number;
  readonly pauseMs: (tries: number) => number;
}

/** Refused, no socket yet, not resolvable or starting up (SQLSTATE 57P03); a wrong password will not get better. */
const UNREACHABLE: Patience = {
  passes: (code, error) =>
    /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ECONNRESET|57P03)$/.test(code) ||
    (code === "ENOENT" && "syscall" in error),
  message: "waiting for the database",
  // As long as a database needs that is started together with this service.
  forMs: 30_000,
  pauseMs: () => 500,
};

/** A lock was not given in time, or two sessions waited for each other and this one gave way. */
const LOCKED: Patience = {
  passes: (code) => code === "55P03" || code === "40P01",
  message: "the migration waits for a lock that another session holds",
  // Another session may be reading a large table.
  forMs: 5 * 60_000,
  pauseMs: (tries) => Math.min(250 * 2 ** tries, 5_000),
};

/**
 * While a migration waits for a lock, every other session that wants the table waits behind it. So it gives up soon,
 * lets them pass and tries again; at first before the second after which PostgreSQL looks for a deadlock, which could end
 * another session's transaction. After many tries it waits longer: a worker whose transaction is ended just tries again.
 */
function lockTimeoutMs(tries: number): number {
  return Math.min(Math.round(800 * 1.25 ** tries), 3_000);
}

async function patiently<Result>(
  work: (tries: number) => Promise<Result>,
  { passes, message, forMs, pauseMs }: Patience,
  log: Logger,
): Promise<Result> {
  const deadline = Date.now() + forMs;
  const limited = createRateLimitedLog(Date.now);
  for (let tries = 0; ; tries++) {
    try {
      return await work(tries);
    } catch (error) {
      const code = (error as { readonly code?: unknown }).code;
      const isPassing = error instanceof Error && passes(String(code), error);
      if (!isPassing || Date.now() > deadline) throw error;
      const waitMs = pauseMs(tries);
      limited(() => {
        log.warn({ error: describeError(error), waitMs }, message);
      });
      await sleep(waitMs);
    }
  }
}
