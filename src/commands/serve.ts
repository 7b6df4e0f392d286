import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "@commander-js/extra-typings";
import { Option } from "@commander-js/extra-typings";
import type { Config } from "../config.ts";
import { keepNewObjectsYoung } from "../process/keep-new-objects-young.ts";
import { createLogger } from "../process/logger.ts";
import { readVersion } from "../process/version.ts";
import { startWatchdog } from "../process/watchdog.ts";
import { startServer } from "../roles/start-server.ts";
import type { Service } from "../service.ts";
import type { Context, Frame, Outcome } from "./frame.ts";

const ROLES = ["all", "api", "worker"] as const;

export function addServe(program: Command, { run }: Frame): void {
  program
    .command("serve")
    .summary("run the service")
    .description(
      "Runs the service until SIGTERM, SIGINT, SIGHUP or SIGQUIT, then stops it in order.",
    )
    .addOption(
      new Option(
        "--role <role>",
        "what this process does (ROLE, or all)",
      ).choices(ROLES),
    )
    .action(
      run(
        ({ config, print }, { role = config.role }) =>
          serve({ ...config, role }, print),
        { isService: true },
      ),
    );
}

/** @returns when everything is stopped */
async function serve(
  config: Config,
  print: Context["print"],
): Promise<Outcome> {
  keepNewObjectsYoung();
  const log = createLogger(config.logLevel);
  const signals = listenToSignals();
  if (config.webhook.isDevelopmentSecret)
    log.warn(
      "UQPAY_WEBHOOK_SECRET is not set: the public development secret is in use",
    );
  for (const { name, nearest } of config.nearMisses)
    log.warn({ variable: name, nearest }, "variable not known");
  const watchdog = startWatchdog(config.hangTimeoutMs);
  const { service, databaseUrl, stop } = await startServer(
    config,
    log,
    process.cwd(),
  );
  const { port, opsPort } = service;
  const { host } = config.http;
  const version = readVersion();
  log.info({ version, host, opsPort, port, role: config.role }, "listening");
  if (!config.isProduction) print(describeUse(service, config, databaseUrl));
  const signal = await signals.first;
  const { shutdownDelayMs: delayMs } = config;
  log.info({ signal, delayMs }, "stopping");
  service.announceStop();
  await sleep(delayMs, undefined, { signal: signals.impatience }).catch(
    () => undefined,
  );
  await stop();
  await watchdog.stop();
  log.info("stopped");
  return { result: { signal } };
}

/** Each asks for the same: a terminal that is closed sends SIGHUP, and some supervisors send SIGQUIT. */
const STOP_SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const;

/** npm passes a signal on that its process group got, too, so that one comes twice at once. */
const SAME_MS = 1_000;

/**
 * The first signal begins the stop. A later one ends the wait before it, and nothing else: what is under way is finished
 * within the deadline.
 */
function listenToSignals() {
  const impatience = new AbortController();
  const first = new Promise<string>((resolve) => {
    let firstAt: number | undefined;
    for (const signal of STOP_SIGNALS)
      process.on(signal, () => {
        firstAt ??= performance.now();
        resolve(signal);
        if (performance.now() - firstAt >= SAME_MS) impatience.abort();
      });
  });
  return { first, impatience: impatience.signal };
}

function describeUse(
  { port }: Service,
  { http: { host }, postgres }: Config,
  databaseUrl: string,
): string {
  const shownHost = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  const url = `http://${shownHost}:${String(port)}/webhooks/uqpay`;
  const database =
    postgres.url === undefined ? `'${databaseUrl}'` : configuredUrl();
  return `
  webhook URL   ${url}
  database      psql ${database}
  first event   npm run cli -- send card.status.update.succeeded${port === 3000 ? "" : ` --url ${url}`}

`;
}

/** Not the URL itself, which has a password. It may stand in `.env`, which the reader's shell knows nothing of. */
function configuredUrl(): string {
  return existsSync(".env")
    ? '"$(node --env-file=.env -p process.env.DATABASE_URL)"'
    : '"$DATABASE_URL"';
}
