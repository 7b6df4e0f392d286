import { StartError, startProcesses } from "../cluster/first-process.ts";
import { memberNumber, tellReady } from "../cluster/member.ts";
import type { Config } from "../config.ts";
import { ConfigError } from "../config.ts";
import type { Logger } from "../logger.ts";
import { createLogger } from "../logger.ts";
import { openDatabase, startServer } from "../serve.ts";
import { tuneV8 } from "../tune-v8.ts";
import { startWatchdog } from "../watchdog.ts";

/** What was started, to be stopped. */
interface Running {
  readonly stop: () => Promise<void>;
}

/**
 * Runs the service until SIGTERM or SIGINT, then stops it in order. Where several processes are configured, this one
 * starts them and keeps them; each of them comes here, too.
 *
 * @returns when everything is stopped; the process can then exit with 0
 */
export async function serve(config: Config, folder: string): Promise<void> {
  tuneV8();
  const member = memberNumber();
  const isMember = member !== undefined;
  const logger = createLogger(config.logLevel);
  const log = isMember ? logger.child({ process: member }) : logger;
  // npm passes a terminal's Ctrl-C on, so that it comes twice: the second one must not cut the first one short.
  const stopSignal = new Promise<string>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, resolve);
  });
  if (config.webhook.isDevelopmentSecret && !isMember) {
    log.warn(
      "UQPAY_WEBHOOK_SECRET is not set: the public development secret is in use",
    );
  }
  const watchdog = startWatchdog(config.hangTimeoutMs);
  const start = config.processes > 1 && !isMember ? startMany : startOne;
  const running = await start(config, log, folder);
  log.info({ signal: await stopSignal }, "stopping");
  await running.stop();
  await watchdog.stop();
  log.info("stopped");
}

async function startOne(
  config: Config,
  log: Logger,
  folder: string,
): Promise<Running> {
  const { service, databaseUrl, stop } = await startServer(config, log, folder);
  if (memberNumber() === undefined)
    announce(service.port, databaseUrl, config, log);
  else tellReady(service.port);
  return { stop };
}

async function startMany(
  config: Config,
  log: Logger,
  folder: string,
): Promise<Running> {
  const database = await openDatabase(config, folder);
  try {
    const processes = await startProcesses({
      count: config.processes,
      // Only the embedded one is not in their environment already.
      environment:
        config.postgres.url === undefined ? { DATABASE_URL: database.url } : {},
      stopTimeoutMs: config.shutdownTimeoutMs,
      log,
    });
    announce(processes.port, database.url, config, log);
    const stop = async () => {
      await processes.stop();
      await database.close();
    };
    return { stop };
  } catch (error) {
    await database.close();
    throw error instanceof StartError ? new ConfigError(error.message) : error;
  }
}

function announce(
  port: number,
  databaseUrl: string,
  config: Config,
  log: Logger,
): void {
  const { host } = config.http;
  const { role, processes } = config;
  const many = processes > 1 && { processes };
  log.info({ ...many, host, port, role }, "listening");
  if (config.isProduction) return;
  const shownHost = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  const url = `http://${shownHost}:${String(port)}/webhooks/uqpay`;
  process.stdout.write(
    [
      "",
      `  webhook URL   ${url}`,
      `  database      psql '${config.postgres.url === undefined ? databaseUrl : "$DATABASE_URL"}'`,
      `  first event   npm run cli -- send card.status.update.succeeded${port === 3000 ? "" : ` --url ${url}`}`,
      "",
      "",
    ].join("\n"),
  );
}
