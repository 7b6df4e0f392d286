import type { Config } from "../config.ts";
import type { Logger } from "../logger.ts";
import { createLogger } from "../logger.ts";
import { startServer } from "../serve.ts";
import { tuneV8 } from "../tune-v8.ts";
import { startWatchdog } from "../watchdog.ts";

/**
 * Runs the service until SIGTERM or SIGINT, then stops it in order.
 *
 * @returns when everything is stopped; the process can then exit with 0
 */
export async function serve(config: Config, folder: string): Promise<void> {
  tuneV8();
  const log = createLogger(config.logLevel);
  // npm passes a terminal's Ctrl-C on, so that it comes twice: the second one must not cut the first one short.
  const stopSignal = new Promise<string>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, resolve);
  });
  if (config.webhook.isDevelopmentSecret) {
    log.warn(
      "UQPAY_WEBHOOK_SECRET is not set: the public development secret is in use",
    );
  }
  const watchdog = startWatchdog(config.hangTimeoutMs);
  const { service, databaseUrl, stop } = await startServer(config, log, folder);
  announce(service.port, databaseUrl, config, log);
  log.info({ signal: await stopSignal }, "stopping");
  await stop();
  await watchdog.stop();
  log.info("stopped");
}

function announce(
  port: number,
  databaseUrl: string,
  config: Config,
  log: Logger,
): void {
  const { host } = config.http;
  log.info({ host, port, role: config.role }, "listening");
  if (config.isProduction) return;
  const shownHost = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  const url = `http://${shownHost}:${String(port)}/webhooks/uqpay`;
  process.stdout.write(
    [
      "",
      `  webhook URL   ${url}`,
      `  database      psql ${config.postgres.url === undefined ? `'${databaseUrl}'` : '"$DATABASE_URL"'}`,
      `  first event   npm run cli -- send card.status.update.succeeded${port === 3000 ? "" : ` --url ${url}`}`,
      "",
      "",
    ].join("\n"),
  );
}
