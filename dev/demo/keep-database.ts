import { rm } from "node:fs/promises";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../embedded-postgres/embedded-postgres.ts";

/*
 * A program of its own, which `npm run demo -- --keep` leaves behind: it holds the demo's database until it is told to
 * end, and removes it then. It says over the channel to its parent that the database is there, or why it is not.
 */

/** A database that was forgotten must not run for ever. */
const LIFE_MS = 24 * 3_600_000;

const [folder = ""] = process.argv.slice(2);

try {
  const postgres = await startEmbeddedPostgres({
    dataDir: join(folder, "postgres"),
    durable: false,
  });
  process.send?.({ url: postgres.url() });
  await toldToEnd();
  await postgres.stop();
} catch (error) {
  process.send?.({ error: (error as Error).message });
  process.exitCode = 1;
}
await rm(folder, { recursive: true, force: true, maxRetries: 5 });

function toldToEnd(): Promise<void> {
  return new Promise((resolve) => {
    const life = setTimeout(resolve, LIFE_MS);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.on(signal, () => {
        clearTimeout(life);
        resolve();
      });
  });
}
