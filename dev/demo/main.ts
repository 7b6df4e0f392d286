import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Command } from "@commander-js/extra-typings";
import type { Context, Frame, Outcome } from "../../src/commands/frame.ts";
import { CommandError, runProgram } from "../../src/commands/frame.ts";
import { loadConfig } from "../../src/config.ts";
import { createLogger } from "../../src/process/logger.ts";
import { startServer } from "../../src/roles/start-server.ts";
import { runDemo } from "./run-demo.ts";
import { CARD } from "./story.ts";

function makeDemo(frame: Frame): Command {
  return new Command("demo")
    .description(
      "Sends the life of a card through the whole service, on a database of its own, tells what each delivery changed, and checks it. Exit code 1 if anything is not as expected.",
    )
    .usage("[-- --keep]")
    .option("--keep", "leaves the database running, and says how to query it")
    .action(
      frame.run((context, { keep = false }) => demo(context, keep), {
        tellsNoProgress: true,
      }),
    );
}

/** Rejects when the demo is told to end, so that it stops what it has started. */
const interruption = new Promise<never>((_, reject) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => {
      reject(new CommandError("The demo was interrupted."));
    });
});
interruption.catch(() => undefined); // it may come when nothing waits for it

/** What keep-database says. */
interface Opened {
  readonly url?: string;
  readonly error?: string;
}

async function demo({ print }: Context, keep: boolean): Promise<Outcome> {
  const keeper = fork(
    fileURLToPath(new URL("keep-database.js", import.meta.url)),
    { cwd: "/", detached: true, stdio: ["ignore", "ignore", "ignore", "ipc"] },
  );
  const ended = once(keeper, "exit");
  let isKept = false;
  try {
    const opened = await Promise.race([once(keeper, "message"), ended]);
    const { url, error } = (opened[0] ?? {}) as Opened;
    if (url === undefined)
      throw new CommandError(error ?? "The demo's database has ended.");
    const differences = await runService(url, print);
    if (keep) {
      keeper.send("keep");
      isKept = true;
      print(describeKept(url, keeper.pid ?? 0));
    }
    return { result: { differences }, foundSomething: differences > 0 };
  } finally {
    if (keeper.connected) keeper.disconnect();
    if (isKept) keeper.unref();
    else await ended;
  }
}

/** @returns how many answers, changes and tables are not as expected */
async function runService(
  databaseUrl: string,
  print: Context["print"],
): Promise<number> {
  const config = loadConfig({
    PORT: "0",
    LOG_LEVEL: "silent",
    REQUEUE_PERIOD_MS: "1000",
    DATABASE_URL: databaseUrl,
  });
  const server = await startServer(config, createLogger(config.logLevel), "/");
  try {
    const told = runDemo({
      url: `http://127.0.0.1:${String(server.service.port)}/webhooks/uqpay`,
      databaseUrl,
      secret: config.webhook.secrets[0] ?? "",
      nowMs: Date.now(),
      write: print,
    });
    return await Promise.race([told, interruption]);
  } finally {
    await server.stop();
  }
}

function describeKept(url: string, pid: number): string {
  return `  The database runs on, with all of this in it. Query it, or ask the operator's commands:

    export DATABASE_URL='${url}'
    psql "$DATABASE_URL" -c 'select card_id, card_status from cards'
    npm run cli -- explain ${CARD}

  What else to ask is in README.md, "See". It ends by itself after a day, or now, and its data with it:

    kill ${String(pid)}

`;
}

/** The demo is the same whatever is configured. npm's variables tell which options npm has swallowed. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => /^(npm_|COLUMNS$)/.test(name)),
);
await runProgram(makeDemo, process.argv.slice(2), environment);
