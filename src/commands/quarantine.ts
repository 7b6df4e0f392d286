import type { Command } from "@commander-js/extra-typings";
import { Option } from "@commander-js/extra-typings";
import { QUARANTINE_REASONS } from "../store/database.ts";
import {
  listQuarantine,
  resolveQuarantined,
} from "../store/quarantine-records.ts";
import type { Context, Frame, Outcome } from "./frame.ts";
import { JSON_OPTION } from "./frame.ts";
import { isQuarantineId, readLimit, readTime } from "./read-options.ts";
import { UsageError } from "./usage-error.ts";
import { withDatabase } from "./with-database.ts";

const DEFAULT_LIMIT = 100;

export function addQuarantine(program: Command, frame: Frame): void {
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
    .option("--card <card_id>", "only about this card")
    .option("--type <type>", "only of this event type")
    .option(
      "--since <time>",
      "only received then or later: 2026-04-12T10:00:00Z, or an age: 30m, 6h, 2d",
      readTime,
    )
    .option("--until <time>", "only received before", readTime)
    .option("--all", "also those that were dealt with")
    .option("--limit <n>", `at most so many (${DEFAULT_LIMIT})`, readLimit)
    .option("--dismiss <id...>", "close these entries; --note says why")
    .option("--note <why>", "why they are closed; it is kept with them")
    .option(...JSON_OPTION)
    .action((options) => {
      const { dismiss, note, json, ...filter } = options;
      if (dismiss === undefined) {
        if (note !== undefined)
          throw new UsageError(
            "error: --note says why entries are closed: name them with --dismiss <id>.",
          );
        return frame.run({ json }, (context) => list(context, filter));
      }
      if (note === undefined || note.trim() === "")
        throw new UsageError('error: say why they are closed: --note "why"');
      const wrong = dismiss.find((id) => !isQuarantineId(id));
      if (wrong !== undefined)
        throw new UsageError(
          `error: --dismiss takes the ids that quarantine lists: '${wrong}' is none.`,
        );
      const [other] = Object.keys(filter);
      if (other !== undefined)
        throw new UsageError(
          `error: --dismiss closes the entries that it names: --${other} cannot be used with it.`,
        );
      return frame.run({ json }, (context) => close(context, dismiss, note));
    });
}

type Filter = Parameters<typeof listQuarantine>[1] & {
  readonly card?: string | undefined;
  readonly all?: true | undefined;
  readonly limit?: number | undefined;
};

function list(context: Context, options: Filter): Promise<Outcome> {
  return withDatabase(context, async (db) => {
    const filter = {
      ...options,
      cardId: options.card,
      withResolved: options.all,
    };
    const rows = await listQuarantine(
      db,
      filter,
      options.limit ?? DEFAULT_LIMIT,
    );
    context.printTable(
      [
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
      ],
      rows.map((row) => [
        row.id,
        row.reason,
        row.eventId ?? "",
        row.eventType ?? "",
        row.cardId ?? "",
        String(row.deliveries),
        row.receivedAt,
        row.lastReceivedAt,
        (row.issues ?? [])
          .map(({ path, message }) => `${path} ${message}`)
          .join("; "),
        row.resolution ?? "",
      ]),
    );
    const quarantine = rows.map((row) => ({
      id: row.id,
      reason: row.reason,
      event_id: row.eventId,
      event_type: row.eventType,
      card_id: row.cardId,
      deliveries: row.deliveries,
      signed_at: row.signedAt,
      received_at: row.receivedAt,
      last_received_at: row.lastReceivedAt,
      issues: row.issues,
      resolution: row.resolution,
    }));
    return { result: { quarantine } };
  });
}

function close(
  context: Context,
  ids: readonly string[],
  note: string,
): Promise<Outcome> {
  return withDatabase(context, async (db) => {
    const closed = await resolveQuarantined(db, ids, `dismissed: ${note}`);
    const missed = new Set(ids).size - closed;
    context.print(
      `${String(closed)} closed${missed > 0 ? `, ${String(missed)} not: there is no open entry of that id` : ""}\n`,
    );
    return { result: { closed, missed }, foundSomething: missed > 0 };
  });
}
