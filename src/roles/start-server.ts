import type { Config } from "../config.ts";
import { ConfigError } from "../config.ts";
import type { EmbeddedPostgres } from "../../dev/embedded-postgres/embedded-postgres.ts";
import type { Logger } from "../process/logger.ts";
import { prepareDatabase } from "./prepare-database.ts";
import type { Service } from "../service.ts";
import { queueConnection, startService } from "../service.ts";
import { TimeoutError, within } from "../process/within.ts";

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
  const database = await openDatabase(config, folder);
  try {
    await prepareDatabase(
      database.url,
      queueConnection(config, database.url),
      log,
    );
    const service = await startService(config, database.url, log).catch(
      (error: unknown) => explainPort(error, config),
    );
    const stop = async () => {
      try {
        await within(service.stop(), config.shutdownTimeoutMs, "stop");
      } catch (error) {
        if (!(error instanceof TimeoutError)) throw error;
        log.warn("shutdown deadline passed");
      }
      await database.close();
    };
    return { service, databaseUrl: database.url, stop };
  } catch (error) {
    await database.close();
    throw error;
  }
}

interface OpenDatabase {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/**
 * The configured database, or the embedded one, started.
 *
 * @throws ConfigError where a person can put it right
 */
async function openDatabase(
  config: Config,
  folder: string,
): Promise<OpenDatabase> {
  const { url } = config.postgres;
  if (url !== undefined) return { url, close: () => Promise.resolve() };
  const embedded = await startEmbedded(folder);
  return { url: embedded.url(), close: () => embedded.stop() };
}

/** Loaded only here: what is for development is not in the image. */
async function startEmbedded(folder: string): Promise<EmbeddedPostgres> {
  try {
    const { developmentDataDir, startEmbeddedPostgres } =
      await import("../../dev/embedded-postgres/embedded-postgres.ts");
    return await startEmbeddedPostgres({
      dataDir: developmentDataDir(folder),
    });
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
}

function explainPort(error: unknown, { http }: Config): never {
  const { code, port } = error as { code?: string; port?: number };
  const isOps = port !== undefined && port === http.opsPort;
  const [name, other] = isOps ? ["OPS_PORT", 9091] : ["PORT", 3001];
  switch (code ?? "") {
    case "EADDRINUSE":
      throw new ConfigError(
        `Port ${String(port)} is taken by another process. Stop that one, or choose another port: ${name}=${String(other)} npm start`,
      );
    case "EACCES":
      throw new ConfigError(
        `Port ${String(port)} is kept for root. Choose one above 1023: ${name}=${String(other)} npm start`,
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      throw new ConfigError(
        "HOST is no address of this machine. Without it the service listens on 127.0.0.1, in production on 0.0.0.0.",
      );
    default:
      throw error;
  }
}
