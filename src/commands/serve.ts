import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Command, Option } from "@commander-js/extra-typings";
import type { Logger } from "../process/logger.ts";
import { createLogger } from "../process/logger.ts";
import { startServer } from "../roles/start-server.ts";
import type { Service } from "../service.ts";
import { readVersion } from "../process/version.ts";
import { startWatchdog } from "../process/watchdog.ts";
import type { Context, Frame, Outcome } from "./frame.ts";
import { JSON_OPTION } from "./frame.ts";

const ROLES = ["all", "api", "worker"] as const;

/** `serve` as one of the tool's commands. */
export function addServe(program: Command, frame: Frame): void {
  configure(program.command("serve"), frame);
}

/** `serve` as a program of its own: what `npm start` and the image run. */
export function makeServeProgram(frame: Frame): Command {
  return configure(new Command("serve"), frame);
}

function configure(command: Command, frame: Frame) {
  return command
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
    .option(...JSON_OPTION)
    .action((options) =>
      frame.run(options, (context) => serve(context, process.cwd()), {
        environment: options.role === undefined ? {} : { ROLE: options.role },
        isService: true,
      }),
    );
}

/** @returns when everything is stopped */
async function serve(context: Context, folder: string): Promise<Outcome> {
  const { config } = context;
  const log = createLogger(config.logLevel);
  const signals = listenToSignals();
  if (config.webhook.isDevelopmentSecret) {
    log.warn(
      "UQPAY_WEBHOOK_SECRET is not set: the public development secret is in use",
    );
  }
  for (const { name, nearest } of config.nearMisses)
    log.warn({ variable: name, nearest }, "variable not known");
  const watchdog = startWatchdog(config.hangTimeoutMs);
  const { service, databaseUrl, stop } = await startServer(config, log, folder);
  announce(service, databaseUrl, context, log);
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

/** Not the URL itself, which has a password. It may stand in `.env`, which the reader's shell knows nothing of. */
function configuredUrl(): string {
  return existsSync(".env")
    ? '"$(node --env-file=.env -p process.env.DATABASE_URL)"'
    : '"$DATABASE_URL"';
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

function announce(
  { port, opsPort }: Service,
  databaseUrl: string,
  { config, print }: Context,
  log: Logger,
): void {
  const { host } = config.http;
  const version = readVersion();
  log.info({ version, host, opsPort, port, role: config.role }, "listening");
  if (config.isProduction) return;
  const shownHost = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  const url = `http://${shownHost}:${String(port)}/webhooks/uqpay`;
  print(
    [
      "",
      `  webhook URL   ${url}`,
      `  database      psql ${config.postgres.url === undefined ? `'${databaseUrl}'` : configuredUrl()}`,
      `  first event   npm run cli -- send card.status.update.succeeded${port === 3000 ? "" : ` --url ${url}`}`,
      "",
      "",
    ].join("\n"),
  );
}
