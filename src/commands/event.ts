import type { Command } from "@commander-js/extra-typings";
import type { Database } from "../store/database.ts";
import { findWholeEvent } from "../store/event-records.ts";
import { listQuarantine } from "../store/quarantine-records.ts";
import type { Context, Frame, Outcome } from "./frame.ts";
import { JSON_OPTION } from "./frame.ts";
import { printable } from "./print.ts";
import { CommandError } from "./usage-error.ts";
import { withDatabase } from "./with-database.ts";

/** More entries than one event has; a sender that repeats itself adds none. */
const MOST_QUARANTINED = 100;

export function addEvent(program: Command, frame: Frame): void {
  program
    .command("event")
    .summary("show one event whole")
    .description(
      "Shows one event of the inbox whole, with its body as it was signed, and what of this event_id is in the quarantine.",
    )
    .argument("<event_id>", "the event")
    .option(...JSON_OPTION)
    .action((eventId, options) =>
      frame.run(options, (context) =>
        withDatabase(context, (db) => show(context, db, eventId)),
      ),
    );
}

async function show(
  context: Context,
  db: Database,
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
  if (found === undefined) {
    throw new CommandError(
      ids.length === 0
        ? `No event ${eventId} is stored.`
        : `No event ${eventId} is in the inbox, but the quarantine has ${entries}: see quarantine --all.`,
    );
  }
  const event = toPlain(found);
  const { body, ...facts } = event;
  const widest = Math.max(...Object.keys(facts).map(({ length }) => length));
  for (const [name, value] of Object.entries(facts)) {
    if (value === null) continue;
    const text = typeof value === "string" ? value : JSON.stringify(value);
    context.print(`  ${name.padEnd(widest)}   ${printable(text)}\n`);
  }
  if (ids.length > 0)
    context.print(`  ${"quarantine".padEnd(widest)}   ${entries}\n`);
  context.print(
    typeof body === "string"
      ? `\n${body}\n`
      : "\nIts body is not kept (sensitive, or dropped by retention).\n",
  );
  return { result: { event, quarantine_ids: ids } };
}

/** A digest is shown as it is compared: in hexadecimal digits. */
function toPlain(row: Readonly<Record<string, unknown>>) {
  return Object.fromEntries(
    Object.entries(row)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [
        name,
        Buffer.isBuffer(value) ? value.toString("hex") : value,
      ]),
  );
}
