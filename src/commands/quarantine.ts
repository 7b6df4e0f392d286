import type { Command } from "@commander-js/extra-typings";
import { Option } from "@commander-js/extra-typings";
import { QUARANTINE_REASONS } from "../store/database.ts";
import {
  listQuarantine,
  resolveQuarantined,
} from "../store/quarantine-records.ts";
import type { Frame, Outcome } from "./frame.ts";
import { UsageError } from "./frame.ts";
import { list } from "./list.ts";
import {
  CARD,
  DEFAULT_LIMIT,
  expectQuarantineIds,
  LIMIT,
  refuseAny,
  SINCE,
  TYPE,
  UNTIL,
} from "./options.ts";
import type { DatabaseContext } from "./with-database.ts";
import { withDatabase } from "./with-database.ts";

export function addQuarantine(program: Command, { run }: Frame): void {
  program
    .command("quarantine")
    .summary("list authentic deliveries that could not be taken in")
    .description(
      "Lists the open quarantined deliveries, the oldest first, or closes entries that need no replay.",
    )
    .addOption(
      new Option("--reason <reason>", "only for this reason").choices(
        QUARANTINE_REASONS,
      ),
    )
    .option(...CARD)
    .option(...TYPE)
    .option(...SINCE)
    .option(...UNTIL)
    .option("--all", "also those that were dealt with")
    .option(...LIMIT)
    .option("--dismiss <id...>", "close these entries; --note says why")
    .option("--note <why>", "why they are closed; it is kept with them")
    .hook("preAction", (command) => {
      refuseContradictions(command.opts());
    })
    .action(
      run(
        withDatabase(async (context, { limit = DEFAULT_LIMIT, ...options }) => {
          const { dismiss, note = "", card, all } = options;
          if (dismiss !== undefined) return close(context, dismiss, note);
          const filter = { ...options, cardId: card, withResolved: all };
          const found = await listQuarantine(context.db, filter, limit);
          const shown = found.map(({ body, bodySha256, ...facts }) => facts);
          return list(context, "quarantine", COLUMNS, shown);
        }),
      ),
    );
}

function refuseContradictions(options: {
  readonly dismiss?: readonly string[] | undefined;
  readonly note?: string | undefined;
}): void {
  const { dismiss, note } = options;
  if (dismiss === undefined) {
    if (note !== undefined)
      throw new UsageError(
        "error: --note says why entries are closed: name them with --dismiss <id>.",
      );
    return;
  }
  if (note === undefined || note.trim() === "")
    throw new UsageError('error: say why they are closed: --note "why"');
  expectQuarantineIds("--dismiss", dismiss);
  refuseAny(
    ["reason", "card", "type", "since", "until", "all", "limit"],
    options,
    "--dismiss closes the entries that it names",
  );
}

const COLUMNS = [
  "id",
  "reason",
  "event_id",
  "event_type",
  "card_id",
  "deliveries",
  "received_at",
  "last_received_at",
  "issues",
  "resolution",
];

async function close(
  { db, print }: DatabaseContext,
  ids: readonly string[],
  note: string,
): Promise<Outcome> {
  const closed = await resolveQuarantined(db, ids, `dismissed: ${note}`);
  const missed = new Set(ids).size - closed;
  print(
    `${String(closed)} closed${missed > 0 ? `, ${String(missed)} not: there is no open entry of that id` : ""}\n`,
  );
  return { result: { closed, missed }, foundSomething: missed > 0 };
}
