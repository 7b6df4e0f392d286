import type { Command } from "@commander-js/extra-typings";
import { pruneBodies, retentionLimit } from "../operate/prune.ts";
import { countOldBodies } from "../store/retention.ts";
import type { Frame } from "./frame.ts";
import { CommandError } from "./frame.ts";
import { withDatabase } from "./with-database.ts";

const PAUSE_MS = 50;

export function addPrune(program: Command, { run }: Frame): void {
  program
    .command("prune")
    .summary("apply RETENTION_DAYS")
    .description(
      "Drops the bodies of events older than RETENTION_DAYS. Event ids stay: they are the deduplication.",
    )
    .option("--dry-run", "count them and drop none")
    .action(
      run(async (context, { dryRun = false }) => {
        const { retentionDays } = context.config;
        if (retentionDays === undefined)
          throw new CommandError(
            "RETENTION_DAYS is not set: no body has an end.",
          );
        const before = retentionLimit(retentionDays, Date.now());
        return prune(context, before, dryRun);
      }),
    );
}

const prune = withDatabase(
  async ({ db, print, progress }, before: Date, isDryRun: boolean) => {
    let dropped = 0;
    const onDropped = (count: number) => {
      dropped += count;
      progress.tell(`${String(dropped)} bodies dropped`);
    };
    const { events, quarantined } = isDryRun
      ? await countOldBodies(db, before)
      : await pruneBodies(db, before, { pauseMs: PAUSE_MS, onDropped });
    const limit = before.toISOString();
    print(
      `${String(events)} bodies of events and ${String(quarantined)} of resolved quarantined deliveries ` +
        `from before ${limit} ${isDryRun ? "would be" : "were"} dropped\n`,
    );
    return {
      result: { dry_run: isDryRun, before: limit, events, quarantined },
    };
  },
);
