import type { Command } from "@commander-js/extra-typings";
import { Option } from "@commander-js/extra-typings";
import { EVENT_STATES } from "../store/database.ts";
import { findWholeEvent, listEvents } from "../store/event-records.ts";
import { listQuarantine } from "../store/quarantine-records.ts";
import type { Frame, Outcome } from "./frame.ts";
import { CommandError } from "./frame.ts";
import { list } from "./list.ts";
import { CARD, DEFAULT_LIMIT, LIMIT, SINCE, TYPE, UNTIL } from "./options.ts";
import { printable, toText } from "./text.ts";
import type { DatabaseContext } from "./with-database.ts";
import { withDatabase } from "./with-database.ts";

export function addEvents(program: Command, { run }: Frame): void {
  program
    .command("events")
    .summary("list what was delivered")
    .description(
      "Lists the newest events of the inbox that match, the oldest of them first.",
    )
    .addOption(
      new Option("--state <state>", "only of this state").choices(EVENT_STATES),
    )
    .option(...TYPE)
    .option(...CARD)
    .option(...SINCE)
    .option(...UNTIL)
    .option(...LIMIT)
    .action(
      run(
        withDatabase(async (context, { limit = DEFAULT_LIMIT, ...options }) => {
          const filter = { ...options, cardId: options.card };
          const newest = await listEvents(context.db, filter, limit, "newest");
          return list(context, "events", COLUMNS, newest.toReversed());
        }),
      ),
    );
  program
    .command("event")
    .summary("show one event whole")
    .description(
      "Shows one event of the inbox whole, with its body as it was signed, and what of this event_id is in the quarantine.",
    )
    .argument("<event_id>", "the event")
    .action(run(withDatabase(show)));
}

const COLUMNS = [
  "event_id",
  "event_type",
  "card_id",
  "state",
  "attempts",
  "received_at",
  "last_error",
];

/** More entries than one event has; a sender that repeats itself adds none. */
const MOST_QUARANTINED = 100;

async function show(
  { db, print }: DatabaseContext,
  eventId: string,
): Promise<Outcome> {
  const found = await findWholeEvent(db, eventId);
  const quarantined = await listQuarantine(
    db,
    { eventIds: [eventId], withResolved: true },
    MOST_QUARANTINED,
  );
  const ids = quarantined.map(({ id }) => id);
  const entries = `${ids.length === 1 ? "entry" : "entries"} ${ids.join(", ")}`;
  if (found === undefined)
    throw new CommandError(
      ids.length === 0
        ? `No event ${eventId} is stored.`
        : `No event ${eventId} is in the inbox, but the quarantine has ${entries}: see quarantine --all.`,
    );
  const { body, body_sha256, ...facts } = found;
  const digest = (body_sha256 as Buffer).toString("hex");
  const event = { ...facts, body_sha256: digest, body };
  const shown = {
    ...facts,
    body_sha256: digest,
    ...(ids.length > 0 && { quarantine: entries }),
  };
  const widest = Math.max(...Object.keys(shown).map(({ length }) => length));
  for (const [name, value] of Object.entries<unknown>(shown))
    if (value !== null && value !== undefined)
      print(`  ${name.padEnd(widest)}   ${printable(toText(value))}\n`);
  print(
    typeof body === "string"
      ? `\n${body}\n`
      : "\nIts body is not kept (sensitive, or dropped by retention).\n",
  );
  return { result: { event, quarantine_ids: ids } };
}
