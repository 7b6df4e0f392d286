import type { SchemaDifference } from "../../db/migrate.ts";
import { createSchemaComparison } from "../../db/migrate.ts";
import {
  developmentDataDir,
  findRunningPostgres,
} from "../../dev/embedded-postgres/embedded-postgres.ts";
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
    (await findRunningPostgres(developmentDataDir(process.cwd())));
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
  const { pending, unknown } = await compareSchema(db);
  if (unknown.length > 0)
    throw new CommandError(
      `The database is of a newer version than this tool (it has ${unknown.join(", ")}): use the tool of the version that the service runs.`,
    );
  const [missing] = pending;
  if (missing !== undefined)
    throw new CommandError(
      `The database is of an older version than this tool (it lacks ${missing}): run \`migrate\` first, or use the tool of the version that the service runs.`,
    );
}

async function compareSchema(db: Database): Promise<SchemaDifference> {
  const compare = await createSchemaComparison();
  try {
    return await compare(db);
  } catch (error) {
    const { code } = error as { readonly code?: string };
    if (code === "42P01" || code === "3F000")
      throw new CommandError(
        "The database is empty: run `migrate` first, or start the service.",
      );
    // A login that may read the tables need not see which migrations made them.
    if (code === "42501") return { pending: [], unknown: [] };
    throw error;
  }
}
