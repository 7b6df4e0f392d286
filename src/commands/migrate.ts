import type { Command } from "@commander-js/extra-typings";
import { pino } from "pino";
import { findPendingMigrations } from "../../db/migrate.ts";
import { ConfigError } from "../config.ts";
import { createLogger } from "../process/logger.ts";
import { prepareDatabase } from "../roles/prepare-database.ts";
import { queueConnection } from "../service.ts";
import type { Context, Frame, Outcome } from "./frame.ts";
import { withAnyDatabase } from "./with-database.ts";

export function addMigrate(program: Command, { run }: Frame): void {
  program
    .command("migrate")
    .summary("apply the migrations")
    .description(
      "Applies the migrations that the database has not seen. A start does it, too.",
    )
    .option("--dry-run", "list them and apply none")
    .action(
      run((context, { dryRun }) =>
        dryRun ? listPending(context) : apply(context),
      ),
    );
}

const listPending = withAnyDatabase(async ({ db, print }) => {
  const migrations = await findPendingMigrations(db);
  print(describe(migrations, "would be applied"));
  return { result: { dry_run: true, migrations } };
});

/** As a start of the service does. */
async function apply({ config, print }: Context): Promise<Outcome> {
  const { url } = config.postgres;
  if (url === undefined)
    throw new ConfigError(
      "DATABASE_URL is not set. The embedded PostgreSQL is migrated by npm start.",
    );
  const migrations = await prepareDatabase(
    url,
    queueConnection(config, url),
    // Standard output is for the result.
    createLogger(config.logLevel, pino.destination(2)),
  );
  print(describe(migrations, "applied. The database is up to date."));
  return { result: { dry_run: false, migrations } };
}

function describe(migrations: readonly string[], what: string): string {
  if (migrations.length === 0) return "The database is up to date.\n";
  return `${migrations.join("\n")}\n${String(migrations.length)} ${what}\n`;
}
