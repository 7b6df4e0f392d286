import type { Config } from "../config.ts";
import { ConfigError } from "../config.ts";
import { createLogger } from "../logger.ts";
import { prepareDatabase } from "../prepare-database.ts";
import { queueConnection } from "../service.ts";
import { print } from "./print.ts";

/** Applies the migrations, as a start of the service does. */
export async function migrate(config: Config): Promise<void> {
  const { url } = config.postgres;
  if (url === undefined) {
    throw new ConfigError(
      "DATABASE_URL is not set. The embedded PostgreSQL is migrated by npm start.",
    );
  }
  await prepareDatabase(
    url,
    queueConnection(config, url),
    createLogger(config.logLevel),
  );
  print("The database is up to date.\n");
}
