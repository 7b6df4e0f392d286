import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../embedded-postgres/embedded-postgres.ts";

/*
 * A program of its own, which `npm run demo -- --keep` leaves behind: it holds the demo's database until it is told to
 * end, and removes it then. It says over the channel to its parent that the database is there, or why it is not.
 */

/** A database that was forgotten must not run for ever. */
const LIFE_MS = 24 * 3_600_000;

let isKept = false;
const end = new Promise<void>((resolve) => {
  setTimeout(resolve, LIFE_MS);
  process.on("message", () => (isKept = true));
  // Also when the demo was killed.
  process.on("disconnect", () => {
    if (!isKept) resolve();
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      resolve();
    });
});

const folder = await mkdtemp(join(tmpdir(), "uqpay-card-sync-demo-"));
try {
  const postgres = await startEmbeddedPostgres({
    dataDir: join(folder, "postgres"),
    durable: false,
  });
  process.send?.({ url: postgres.url() });
  await end;
  await postgres.stop();
} catch (error) {
  process.send?.({ error: (error as Error).message });
}
await rm(folder, { recursive: true, force: true, maxRetries: 5 });
process.exit();
