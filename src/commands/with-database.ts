import { createSchemaComparison } from "../../db/migrate.ts";
import type { Database } from "../store/database.ts";
import { createDatabase, createPool } from "../store/database.ts";
import { examineDatabase } from "../store/examine-database.ts";
import { explainDatabaseFault } from "../store/explain-fault.ts";
import type { Context, Outcome } from "./frame.ts";
import { CommandError } from "./frame.ts";

/** Operators' commands read and write much at a time. */
const QUERY_TIMEOUT_MS = 10 * 60_000;

export interface DatabaseContext extends Context {
  readonly db: Database;
}

type Work<Given extends Context, Args extends unknown[]> = (
  context: Given,
  ...args: Args
) => Promise<Outcome>;

/**
 * What a command does on the configured database, or on the embedded one of a running `npm start` in this folder, with
 * the schema that this release works with.
 */
export function withDatabase<Args extends unknown[]>(
  work: Work<DatabaseContext, Args>,
): Work<Context, Args> {
  return withAnyDatabase(async (context, ...args) => {
    await expectSchema(context.db);
    return work(context, ...args);
  });
}

/** The same, whatever its schema. */
export function withAnyDatabase<Args extends unknown[]>(
  work: Work<DatabaseContext, Args>,
): Work<Context, Args> {
  return async (context, ...args) => {
    const url =
      context.config.postgres.url ?? (await findDevelopmentDatabase());
    if (url === undefined)
      throw new CommandError(
        "There is no database: set DATABASE_URL, or run npm start in this folder.",
      );
    const pool = createPool({
      url,
      maxConnections: 2,
      queryTimeoutMs: QUERY_TIMEOUT_MS,
      applicationName: "uqpay-card-sync cli",
      onError: () => undefined, // the running query fails with it, and tells
    });
    try {
      await examineDatabase(url);
      return await work({ ...context, db: createDatabase(pool) }, ...args);
    } catch (error) {
      const sentence = explainDatabaseFault(error);
      throw sentence === undefined ? error : new CommandError(sentence);
    } finally {
      await pool.end();
    }
  };
}

/** Loaded only here: what is for development is not in the image. */
async function findDevelopmentDatabase(): Promise<string | undefined> {
  const { developmentDataDir, findRunningPostgres } =
    await import("../../dev/embedded-postgres/embedded-postgres.ts");
  return findRunningPostgres(developmentDataDir(process.cwd()));
}

async function expectSchema(db: Database): Promise<void> {
  const compare = await createSchemaComparison();
  const { pending, unknown } = await compare(db).catch((error: unknown) => {
    const { code } = error as { readonly code?: string };
    if (code === "42P01" || code === "3F000")
      throw new CommandError(
        "The database is empty: run `migrate` first, or start the service.",
      );
    // A login that may read the tables need not see which migrations made them.
    if (code === "42501") return { pending: [], unknown: [] };
    throw error;
  });
  if (unknown.length > 0)
    throw new CommandError(
      `The database is of a newer version than this tool (it has ${unknown.join(", ")}): use the tool of the version that the service runs.`,
    );
  if (pending[0] !== undefined)
    throw new CommandError(
      `The database is of an older version than this tool (it lacks ${pending[0]}): run \`migrate\` first, or use the tool of the version that the service runs.`,
    );
}
