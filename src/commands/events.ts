import type { Command } from "@commander-js/extra-typings";
import { Option } from "@commander-js/extra-typings";
import { EVENT_STATES } from "../store/database.ts";
import { listEvents } from "../store/event-records.ts";
import type { Frame } from "./frame.ts";
import { JSON_OPTION } from "./frame.ts";
import { readLimit, readTime } from "./read-options.ts";
import { withDatabase } from "./with-database.ts";

const DEFAULT_LIMIT = 100;

export function addEvents(program: Command, frame: Frame): void {
  program
    .command("events")
    .summary("list what was delivered")
    .description(
      "Lists the newest events of the inbox that match, the oldest of them first.",
    )
    .addOption(
      new Option("--state <state>", "only of this state").choices(EVENT_STATES),
    )
    .option("--type <type>", "only of this event type")
    .option("--card <card_id>", "only about this card")
    .option(
      "--since <time>",
      "only received then or later: 2026-04-12T10:00:00Z, or an age: 30m, 6h, 2d",
      readTime,
    )
    .option("--until <time>", "only received before", readTime)
    .option("--limit <n>", `at most so many (${DEFAULT_LIMIT})`, readLimit)
    .option(...JSON_OPTION)
    .action((options) =>
      frame.run(options, (context) =>
        withDatabase(context, async (db) => {
          const filter = { ...options, cardId: options.card };
          const limit = options.limit ?? DEFAULT_LIMIT;
          const newest = await listEvents(db, filter, limit, "newest");
          const rows = newest.toReversed();
          context.printTable(
            [
              "event_id",
              "event_type",
              "card_id",
              "state",
              "attempts",
              "received_at",
              "last_error",
            ],
            rows.map((row) => [
              row.eventId,
              row.eventType,
              row.cardId ?? "",
              row.state,
              String(row.attempts),
              row.receivedAt,
              row.lastError ?? "",
            ]),
          );
          const events = rows.map((row) => ({
            event_id: row.eventId,
            event_type: row.eventType,
            card_id: row.cardId,
            state: row.state,
            attempts: row.attempts,
            signed_at: row.signedAt,
            received_at: row.receivedAt,
            last_error: row.lastError,
          }));
          return { result: { events } };
        }),
      ),
    );
}
