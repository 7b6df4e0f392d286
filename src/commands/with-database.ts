import type { Config } from "../config.ts";
import { findRunningPostgres } from "../embedded/embedded-postgres.ts";
import { embeddedDataDir } from "../serve.ts";
import type { Database } from "../store/database.ts";
import { createDatabase, createPool } from "../store/database.ts";
import { explainDatabaseFault } from "../store/explain-fault.ts";
import { UsageError } from "./usage-error.ts";

/** Operators' commands read and write much at a time. */
const QUERY_TIMEOUT_MS = 10 * 60_000;

/**
 * The configured database, or the embedded one of a running `npm start` in this folder.
 *
 * @throws UsageError when there is none, or none that can be used now
 */
export async function withDatabase(
  config: Config,
  work: (db: Database) => Promise<void>,
): Promise<void> {
  const url =
    config.postgres.url ??
    (await findRunningPostgres(embeddedDataDir(process.cwd())));
  if (url === undefined) {
    throw new UsageError(
      "There is no database: set DATABASE_URL, or run npm start in this folder.",
    );
  }
  const pool = createPool({
    url,
    maxConnections: 2,
    queryTimeoutMs: QUERY_TIMEOUT_MS,
    applicationName: "uqpay-card-sync cli",
    onError: () => undefined, // the running query fails with it, and tells
  });
  const db = createDatabase(pool);
  try {
    await work(db);
  } catch (error) {
    const sentence = explainDatabaseFault(error);
    throw sentence === undefined ? error : new UsageError(sentence);
  } finally {
    await pool.end();
  }
}
