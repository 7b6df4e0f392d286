import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "../config.ts";
import { pruneBodies, retentionLimit } from "../prune-bodies.ts";
import {
  countOldBodies,
  dropOldBodies,
  dropResolvedBodies,
} from "../store/retention.ts";
import { print } from "./print.ts";
import { readOptions } from "./read-options.ts";
import { UsageError } from "./usage-error.ts";
import { withDatabase } from "./with-database.ts";

export const PRUNE_USAGE = `prune [--dry-run]
      drops the bodies of events older than RETENTION_DAYS; event ids stay, they are the deduplication`;

const PAUSE_MS = 50;

export async function prune(
  args: readonly string[],
  config: Config,
): Promise<void> {
  const { values } = readOptions(
    args,
    { "dry-run": { type: "boolean" } },
    PRUNE_USAGE,
  );
  if (config.retentionDays === undefined)
    throw new UsageError("RETENTION_DAYS is not set.");
  const before = retentionLimit(config.retentionDays, Date.now());
  await withDatabase(config, async (db) => {
    const isDryRun = values["dry-run"] === true;
    const { events, quarantined } = isDryRun
      ? await countOldBodies(db, before)
      : await pruneBodies(before, {
          dropOldBodies: (date, limit) => dropOldBodies(db, date, limit),
          dropResolvedBodies: (date, limit) =>
            dropResolvedBodies(db, date, limit),
          signal: new AbortController().signal,
          pause: () => sleep(PAUSE_MS),
        });
    print(
      `${String(events)} bodies of events and ${String(quarantined)} of resolved quarantined deliveries ` +
        `from before ${before.toISOString()} ${isDryRun ? "would be" : "were"} dropped\n`,
    );
  });
}
