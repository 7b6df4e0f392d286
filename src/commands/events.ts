import type { Config } from "../config.ts";
import { EVENT_STATES, QUARANTINE_REASONS } from "../store/database.ts";
import { listEvents } from "../store/event-records.ts";
import {
  listQuarantine,
  resolveQuarantined,
} from "../store/quarantine-records.ts";
import { formatTable } from "./format-table.ts";
import { print } from "./print.ts";
import {
  readChoice,
  readLimit,
  readOptions,
  readTime,
} from "./read-options.ts";
import { UsageError } from "./usage-error.ts";
import { withDatabase } from "./with-database.ts";

export const EVENTS_USAGE = `events [--state received|processed|ignored|failed] [--type TYPE] [--card ID] [--since TIME] [--until TIME] [--limit 100]
      lists the newest of the inbox that match, the oldest of them first
      a time is 2026-04-12T10:00:00Z or an age: 30m, 6h, 2d`;

export async function events(
  args: readonly string[],
  config: Config,
): Promise<void> {
  const { values } = readOptions(
    args,
    {
      state: { type: "string" },
      type: { type: "string" },
      card: { type: "string" },
      since: { type: "string" },
      until: { type: "string" },
      limit: { type: "string" },
    },
    EVENTS_USAGE,
  );
  const filter = {
    state: readChoice(values.state, "state", EVENT_STATES),
    type: values.type,
    cardId: values.card,
    since: readTime(values.since, "since"),
    until: readTime(values.until, "until"),
  };
  await withDatabase(config, async (db) => {
    const limit = readLimit(values.limit);
    const rows = await listEvents(db, filter, limit, "newest");
    print(
      formatTable(
        [
          "event_id",
          "event_type",
          "card_id",
          "state",
          "attempts",
          "received_at",
          "last_error",
        ],
        rows
          .toReversed()
          .map((row) => [
            row.eventId,
            row.eventType,
            row.cardId ?? "",
            row.state,
            String(row.attempts),
            row.receivedAt,
            row.lastError ?? "",
          ]),
      ),
    );
  });
}

export const QUARANTINE_USAGE = `quarantine [--reason REASON] [--type TYPE] [--since TIME] [--until TIME] [--all] [--limit 100]
      lists the open quarantined deliveries, oldest first; --all: also those that were dealt with
  quarantine --dismiss ID … --note "why"
      closes entries that need no replay`;

export async function quarantine(
  args: readonly string[],
  config: Config,
): Promise<void> {
  const { values, positionals } = readOptions(
    args,
    {
      reason: { type: "string" },
      type: { type: "string" },
      since: { type: "string" },
      until: { type: "string" },
      all: { type: "boolean" },
      limit: { type: "string" },
      dismiss: { type: "string" },
      note: { type: "string" },
    },
    QUARANTINE_USAGE,
    true,
  );
  const { dismiss, note } = values;
  if (dismiss !== undefined) {
    const ids = [dismiss, ...positionals];
    if (note === undefined || !ids.every(isQuarantineId)) {
      throw new UsageError(`usage: ${QUARANTINE_USAGE}`);
    }
    await withDatabase(config, async (db) => {
      const count = await resolveQuarantined(db, ids, `dismissed: ${note}`);
      print(`${String(count)} closed\n`);
    });
    return;
  }
  if (positionals.length > 0)
    throw new UsageError(`usage: ${QUARANTINE_USAGE}`);
  const filter = {
    reason: readChoice(values.reason, "reason", QUARANTINE_REASONS),
    type: values.type,
    since: readTime(values.since, "since"),
    until: readTime(values.until, "until"),
    withResolved: values.all,
  };
  await withDatabase(config, async (db) => {
    const rows = await listQuarantine(db, filter, readLimit(values.limit));
    print(
      formatTable(
        [
          "id",
          "reason",
          "event_id",
          "event_type",
          "deliveries",
          "received_at",
          "issues",
          "resolution",
        ],
        rows.map((row) => [
          row.id,
          row.reason,
          row.eventId ?? "",
          row.eventType ?? "",
          String(row.deliveries),
          row.receivedAt,
          (row.issues ?? [])
            .map(({ path, message }) => `${path} ${message}`)
            .join("; "),
          row.resolution ?? "",
        ]),
      ),
    );
  });
}

export function isQuarantineId(text: string): boolean {
  return /^\d{1,18}$/.test(text);
}
