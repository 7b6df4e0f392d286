import { findPendingMigrations } from "../../db/migrate.ts";
import { findRunningPostgres } from "../embedded/embedded-postgres.ts";
import { embeddedDataDir } from "../serve.ts";
import type { Database } from "../store/database.ts";
import { createDatabase, createPool } from "../store/database.ts";
import { examineDatabase } from "../store/examine-database.ts";
import { explainDatabaseFault } from "../store/explain-fault.ts";
import type { Context } from "./frame.ts";
import { CommandError } from "./usage-error.ts";

/** Operators' commands read and write much at a time. */
const QUERY_TIMEOUT_MS = 10 * 60_000;

/**
 * The configured database, or the embedded one of a running `npm start` in this folder, with the schema that this
 * release works with.
 *
 * @throws CommandError when there is none, or none that can be used now
 */
export function withDatabase<Result>(
  context: Context,
  work: (db: Database) => Promise<Result>,
): Promise<Result> {
  return withAnyDatabase(context, async (db) => {
    await expectSchema(db);
    return work(db);
  });
}

/** The same, whatever its schema. */
export async function withAnyDatabase<Result>(
  { config }: Context,
  work: (db: Database) => Promise<Result>,
): Promise<Result> {
  const url =
    config.postgres.url ??
    (await findRunningPostgres(embeddedDataDir(process.cwd())));
  if (url === undefined) {
    throw new CommandError(
      "There is no database: set DATABASE_URL, or run npm start in this folder.",
    );
  }
  try {
    await examineDatabase(url);
    return await withPool(url, work);
  } catch (error) {
    const sentence = explainDatabaseFault(error);
    throw sentence === undefined ? error : new CommandError(sentence);
  }
}

async function withPool<Result>(
  url: string,
  work: (db: Database) => Promise<Result>,
): Promise<Result> {
  const pool = createPool({
    url,
    maxConnections: 2,
    queryTimeoutMs: QUERY_TIMEOUT_MS,
    applicationName: "uqpay-card-sync cli",
    onError: () => undefined, // the running query fails with it, and tells
  });
  try {
    return await work(createDatabase(pool));
  } finally {
    await pool.end();
  }
}

async function expectSchema(db: Database): Promise<void> {
  const pending = await findPendingMigrations(db);
  if (pending.length > 0)
    throw new CommandError(
      `The database is empty or older than this release: ${pending.length} migrations are missing. Apply them with: npm run cli -- migrate`,
    );
}
