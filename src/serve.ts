import { join } from "node:path";
import type { Config } from "./config.ts";
import { ConfigError } from "./config.ts";
import type { EmbeddedPostgres } from "./embedded/embedded-postgres.ts";
import { startEmbeddedPostgres } from "./embedded/embedded-postgres.ts";
import type { Logger } from "./logger.ts";
import { prepareDatabase } from "./prepare-database.ts";
import type { Service } from "./service.ts";
import { queueConnection, startService } from "./service.ts";
import { within } from "./within.ts";

export interface RunningServer {
  readonly service: Service;
  readonly databaseUrl: string;
  /** Stops everything in order, within the configured deadline. */
  readonly stop: () => Promise<void>;
}

/**
 * Starts the whole service: the embedded PostgreSQL where none is configured, the migrations, the roles.
 *
 * @param folder where `.data/` is kept
 * @throws ConfigError where a person can put it right, with what to do
 */
export async function startServer(
  config: Config,
  log: Logger,
  folder: string,
): Promise<RunningServer> {
  const embedded =
    config.postgres.url === undefined ? await startEmbedded(folder) : undefined;
  const databaseUrl = config.postgres.url ?? embedded?.url() ?? "";
  try {
    await prepareDatabase(
      databaseUrl,
      queueConnection(config, databaseUrl),
      log,
    );
    const service = await startService(config, databaseUrl, log).catch(
      explainTakenPort,
    );
    const stop = async () => {
      await within(config.shutdownTimeoutMs, service.stop(), () => {
        log.warn("shutdown deadline passed");
      });
      await embedded?.stop();
    };
    return { service, databaseUrl, stop };
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

/** Where the embedded PostgreSQL keeps everything. */
export function embeddedDataDir(folder: string): string {
  return join(folder, ".data", "postgres");
}

async function startEmbedded(folder: string): Promise<EmbeddedPostgres> {
  try {
    return await startEmbeddedPostgres({
      dataDir: join(folder, ".data", "postgres"),
    });
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
}

function explainTakenPort(error: unknown): never {
  const { code, port } = error as { code?: string; port?: number };
  if (code !== "EADDRINUSE") throw error;
  throw new ConfigError(
    `Port ${String(port)} is taken by another process. Stop that one, or choose another port: PORT=3001 npm start`,
  );
}
