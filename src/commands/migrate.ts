import type { Command } from "@commander-js/extra-typings";
import { pino } from "pino";
import { findPendingMigrations } from "../../db/migrate.ts";
import { ConfigError } from "../config.ts";
import { createLogger } from "../process/logger.ts";
import { prepareDatabase } from "../roles/prepare-database.ts";
import { queueConnection } from "../service.ts";
import type { Context, Frame, Outcome } from "./frame.ts";
import { JSON_OPTION } from "./frame.ts";
import { withAnyDatabase } from "./with-database.ts";

export function addMigrate(program: Command, frame: Frame): void {
  program
    .command("migrate")
    .summary("apply the migrations")
    .description(
      "Applies the migrations that the database has not seen. A start does it, too.",
    )
    .option("--dry-run", "list them and apply none")
    .option(...JSON_OPTION)
    .action((options) =>
      frame.run(options, (context) =>
        options.dryRun === true ? list(context) : apply(context),
      ),
    );
}

function list(context: Context): Promise<Outcome> {
  return withAnyDatabase(context, async (db) => {
    const pending = await findPendingMigrations(db);
    context.print(
      pending.length === 0
        ? "The database is up to date.\n"
        : `${pending.join("\n")}\n${String(pending.length)} would be applied\n`,
    );
    return { result: { dry_run: true, migrations: pending } };
  });
}

/** As a start of the service does. */
async function apply(context: Context): Promise<Outcome> {
  const { config } = context;
  const { url } = config.postgres;
  if (url === undefined) {
    throw new ConfigError(
      "DATABASE_URL is not set. The embedded PostgreSQL is migrated by npm start.",
    );
  }
  const migrations = await prepareDatabase(
    url,
    queueConnection(config, url),
    // Standard output is for the result.
    createLogger(config.logLevel, pino.destination(2)),
  );
  context.print(
    migrations.length === 0
      ? "The database is up to date.\n"
      : `${migrations.join("\n")}\n${String(migrations.length)} applied. The database is up to date.\n`,
  );
  return { result: { dry_run: false, migrations } };
}
