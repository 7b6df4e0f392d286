import type { Command } from "@commander-js/extra-typings";
import { pruneBodies, retentionLimit } from "../operate/prune.ts";
import { countOldBodies } from "../store/retention.ts";
import type { Context, Frame, Outcome } from "./frame.ts";
import { JSON_OPTION } from "./frame.ts";
import { CommandError } from "./usage-error.ts";
import { withDatabase } from "./with-database.ts";

const PAUSE_MS = 50;

export function addPrune(program: Command, frame: Frame): void {
  program
    .command("prune")
    .summary("apply RETENTION_DAYS")
    .description(
      "Drops the bodies of events older than RETENTION_DAYS. Event ids stay: they are the deduplication.",
    )
    .option("--dry-run", "count them and drop none")
    .option(...JSON_OPTION)
    .action((options) =>
      frame.run(options, (context) => prune(context, options.dryRun === true)),
    );
}

function prune(context: Context, isDryRun: boolean): Promise<Outcome> {
  const { retentionDays } = context.config;
  if (retentionDays === undefined)
    throw new CommandError("RETENTION_DAYS is not set: no body has an end.");
  const before = retentionLimit(retentionDays, Date.now());
  return withDatabase(context, async (db) => {
    let dropped = 0;
    const { events, quarantined } = isDryRun
      ? await countOldBodies(db, before)
      : await pruneBodies(db, before, {
          pauseMs: PAUSE_MS,
          onDropped: (count) => {
            dropped += count;
            context.progress.tell(`${String(dropped)} bodies dropped`);
          },
        });
    context.print(
      `${String(events)} bodies of events and ${String(quarantined)} of resolved quarantined deliveries ` +
        `from before ${before.toISOString()} ${isDryRun ? "would be" : "were"} dropped\n`,
    );
    return {
      result: {
        dry_run: isDryRun,
        before: before.toISOString(),
        events,
        quarantined,
      },
    };
  });
}
