import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "@commander-js/extra-typings";
import type { Context, Frame, Outcome } from "../../src/commands/frame.ts";
import { CommandError, runProgram } from "../../src/commands/frame.ts";
import { loadConfig } from "../../src/config.ts";
import { CARD } from "./deliveries.ts";
import { leaveDatabase } from "./leave-database.ts";
import { runDemo } from "./run-demo.ts";
import { startEmbeddedPostgres } from "../embedded-postgres/embedded-postgres.ts";
import { createLogger } from "../../src/process/logger.ts";
import { startServer } from "../../src/roles/start-server.ts";

function makeDemo(frame: Frame): Command {
  const program = new Command("demo")
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
  return program;
}

class Interrupted extends Error {}

/** Rejects when the demo is told to end, so that it stops what it has started. */
const interruption = new Promise<never>((_, reject) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => {
      reject(new Interrupted());
    });
});
interruption.catch(() => undefined); // it may come when nothing waits for it

async function demo({ print }: Context, keep: boolean): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), "uqpay-card-sync-demo-"));
  let isKept = false;
  try {
    const differences = await tell(folder, print);
    if (keep) {
      const { url, pid } = await leaveDatabase(folder);
      isKept = true;
      print(describeKept(url, pid));
    }
    return { result: { differences }, foundSomething: differences > 0 };
  } catch (error) {
    if (error instanceof Interrupted)
      throw new CommandError("The demo was interrupted.");
    throw error;
  } finally {
    if (!isKept) await rm(folder, { recursive: true, force: true });
  }
}

async function tell(folder: string, print: Context["print"]): Promise<number> {
  const postgres = await startEmbeddedPostgres({
    dataDir: join(folder, "postgres"),
    durable: false,
  }).catch((error: unknown) => {
    throw new CommandError((error as Error).message);
  });
  try {
    const config = loadConfig({
      PORT: "0",
      LOG_LEVEL: "silent",
      REQUEUE_PERIOD_MS: "1000",
      DATABASE_URL: postgres.url(),
    });
    const log = createLogger(config.logLevel);
    const server = await startServer(config, log, folder);
    try {
      const told = runDemo({
        url: `http://127.0.0.1:${String(server.service.port)}/webhooks/uqpay`,
        databaseUrl: server.databaseUrl,
        secret: config.webhook.secrets[0] ?? "",
        nowMs: Date.now(),
        write: print,
      });
      return await Promise.race([told, interruption]);
    } finally {
      await server.stop();
    }
  } finally {
    await postgres.stop();
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
