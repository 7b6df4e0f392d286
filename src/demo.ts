import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadConfig } from "./config.ts";
import { demoDataDir } from "./demo/demo-folder.ts";
import { CARD } from "./demo/deliveries.ts";
import { leaveDatabase } from "./demo/leave-database.ts";
import { runDemo } from "./demo/run-demo.ts";
import { startEmbeddedPostgres } from "./embedded/embedded-postgres.ts";
import { createLogger } from "./logger.ts";
import { startServer } from "./serve.ts";

const write = (text: string) => process.stdout.write(text);

const USAGE = `npm run demo [-- --keep]

  Sends the life of a card through the whole service, on a database of its own, and tells what each delivery changed.
  Ends with 1 if anything is not as expected.

  --keep   leaves the database running, and tells how to query it
  --help
`;

interface Options {
  readonly keep?: boolean | undefined;
  readonly help?: boolean | undefined;
}

function readOptions(): Options | undefined {
  try {
    const { values } = parseArgs({
      options: { keep: { type: "boolean" }, help: { type: "boolean" } },
    });
    return values;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    return undefined;
  }
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

async function demo({ keep = false }: Options): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "uqpay-card-sync-demo-"));
  let isKept = false;
  try {
    const differences = await tell(folder);
    if (keep) {
      const { url, pid } = await leaveDatabase(folder);
      isKept = true;
      write(describeKept(url, pid));
    }
    return differences === 0 ? 0 : 1;
  } catch (error) {
    if (error instanceof Interrupted) return 130;
    throw error;
  } finally {
    if (!isKept) await rm(folder, { recursive: true, force: true });
  }
}

async function tell(folder: string): Promise<number> {
  const postgres = await startEmbeddedPostgres({
    dataDir: demoDataDir(folder),
    durable: false,
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
        write,
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

const options = readOptions();
if (options === undefined) process.exitCode = 2;
else if (options.help === true) write(USAGE);
else process.exitCode = await demo(options);
