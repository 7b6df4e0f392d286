import { readFile, readdir } from "node:fs/promises";
import { Migrator, sql } from "kysely";
import type { Kysely, Migration } from "kysely";

/** Where kysely keeps which migrations were applied: not among the tables that users query. */
const HISTORY_SCHEMA = "uqpay_card_sync_migrations";

const directory = new URL("./migrations/", import.meta.url);

/**
 * Applies the SQL files of `db/migrations` that were not applied yet, in the order of their names and in one
 * transaction. Any number of instances may call it at once: the first does the work under a lock.
 *
 * @returns the names of the migrations that were applied now
 * @throws what the first failing migration threw; then none was applied
 */
export async function migrate<Tables>(db: Kysely<Tables>): Promise<string[]> {
  const { error, results } = await createMigrator(db).migrateToLatest();
  if (error !== undefined) {
    throw error instanceof Error
      ? error
      : new Error("a migration failed", { cause: error });
  }
  return (results ?? []).map(({ migrationName }) => migrationName);
}

/** How the database's schema differs from the one that this release knows. */
export interface SchemaDifference {
  /** The database lacks them. */
  readonly pending: readonly string[];
  /** A newer release has applied them. */
  readonly unknown: readonly string[];
}

/**
 * @returns compares a database with the migrations that there are now: an upgrade in place may add files while this
 * process still runs the code of before
 */
export async function createSchemaComparison(): Promise<
  <Tables>(db: Kysely<Tables>) => Promise<SchemaDifference>
> {
  const known = new Set(Object.keys(await getMigrations()));
  return async (db) => {
    const { rows } = await sql<{ name: string }>`
      select name from ${sql.id(HISTORY_SCHEMA, "kysely_migration")}
    `.execute(db);
    const applied = new Set(rows.map(({ name }) => name));
    return {
      pending: [...known].filter((name) => !applied.has(name)),
      unknown: [...applied].filter((name) => !known.has(name)),
    };
  };
}

/** The migrations that this release knows and that the database has not seen. */
export async function findPendingMigrations<Tables>(
  db: Kysely<Tables>,
): Promise<string[]> {
  const migrations = await createMigrator(db).getMigrations();
  return migrations
    .filter(({ executedAt }) => executedAt === undefined)
    .map(({ name }) => name);
}

function createMigrator<Tables>(db: Kysely<Tables>): Migrator {
  return new Migrator({
    db,
    provider: { getMigrations },
    migrationTableSchema: HISTORY_SCHEMA,
  });
}

async function getMigrations(): Promise<Record<string, Migration>> {
  const names = (await readdir(directory))
    .filter((name) => name.endsWith(".sql"))
    .toSorted();
  return Object.fromEntries(
    names.map((name) => [
      name.replace(/\.sql$/, ""),
      { up: (db) => runFile(db, name) },
    ]),
  );
}

async function runFile(db: Kysely<unknown>, name: string): Promise<void> {
  const text = await readFile(new URL(name, directory), "utf8");
  await sql.raw(text).execute(db);
}
