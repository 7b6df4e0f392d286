import type { Config } from "../config.ts";
import type { Replay } from "../replay-events.ts";
import { replayEvent, replayQuarantined } from "../replay-events.ts";
import type { Database } from "../store/database.ts";
import { listEvents } from "../store/event-records.ts";
import { listQuarantine } from "../store/quarantine-records.ts";
import type { ColumnChange } from "../store/row-changes.ts";
import { EVENT_STATES, QUARANTINE_REASONS } from "../store/database.ts";
import { isQuarantineId } from "./events.ts";
import { print } from "./print.ts";
import {
  readChoice,
  readLimit,
  readOptions,
  readTime,
} from "./read-options.ts";
import { UsageError } from "./usage-error.ts";
import { withDatabase } from "./with-database.ts";

export const REPLAY_USAGE = `replay EVENT_ID …  |  --failed  |  --state STATE  |  --quarantined [QUARANTINE_ID …]
         [--reason REASON] [--type TYPE] [--card ID] [--since TIME] [--until TIME] [--limit N] [--dry-run]
      applies events again through the code of today; --dry-run shows which column of which row would change`;

const OPTIONS = {
  failed: { type: "boolean" },
  quarantined: { type: "boolean" },
  state: { type: "string" },
  reason: { type: "string" },
  type: { type: "string" },
  card: { type: "string" },
  since: { type: "string" },
  until: { type: "string" },
  limit: { type: "string" },
  "dry-run": { type: "boolean" },
} as const;

/** One event to replay: what it is called, and how it is replayed. */
interface Target {
  readonly name: string;
  readonly replay: (isDryRun: boolean) => Promise<Replay>;
}

export async function replay(
  args: readonly string[],
  config: Config,
): Promise<void> {
  const { values, positionals } = readOptions(
    args,
    OPTIONS,
    REPLAY_USAGE,
    true,
  );
  const isDryRun = values["dry-run"] === true;
  await withDatabase(config, async (db) => {
    const targets = await findTargets(db, values, positionals);
    let unresolved = 0;
    for (const target of targets) {
      const result = await target.replay(isDryRun);
      if (!isResolved(result)) unresolved++;
      print(describe(target.name, result, isDryRun));
    }
    print(
      `${String(targets.length)} ${isDryRun ? "looked at, nothing changed" : "replayed"}` +
        `, ${String(unresolved)} of them could not be applied\n`,
    );
    if (unresolved > 0) process.exitCode = 1;
  });
}

type Values = ReturnType<typeof readOptions<typeof OPTIONS>>["values"];

async function findTargets(
  db: Database,
  values: Values,
  positionals: readonly string[],
): Promise<Target[]> {
  const period = {
    type: values.type,
    since: readTime(values.since, "since"),
    until: readTime(values.until, "until"),
  };
  const limit = readLimit(values.limit ?? "1000000");
  if (values.quarantined === true || values.reason !== undefined) {
    if (
      !positionals.every(isQuarantineId) ||
      values.failed === true ||
      values.state !== undefined
    ) {
      throw new UsageError(`usage: ${REPLAY_USAGE}`);
    }
    const rows = await listQuarantine(
      db,
      {
        ...period,
        ids: positionals.length > 0 ? positionals : undefined,
        reason: readChoice(values.reason, "reason", QUARANTINE_REASONS),
        withResolved: positionals.length > 0,
      },
      limit,
    );
    const wanted = rows.filter(
      ({ body }) => values.card === undefined || cardIdIn(body) === values.card,
    );
    return wanted.map(({ id, eventId }) => ({
      name: `quarantine ${id}${eventId === null ? "" : ` (${eventId})`}`,
      replay: (isDryRun) => replayQuarantined(db, id, isDryRun),
    }));
  }
  const state =
    values.failed === true
      ? "failed"
      : readChoice(values.state, "state", EVENT_STATES);
  const isChosen = [
    state,
    values.type,
    values.card,
    values.since,
    values.until,
  ].some((choice) => choice !== undefined);
  if (positionals.length === 0 && !isChosen)
    throw new UsageError(`usage: ${REPLAY_USAGE}`);
  const found =
    positionals.length > 0
      ? positionals
      : (
          await listEvents(db, { ...period, state, cardId: values.card }, limit)
        ).map(({ eventId }) => eventId);
  return found.map((eventId) => ({
    name: eventId,
    replay: (isDryRun) => replayEvent(db, eventId, isDryRun),
  }));
}

/** A quarantined delivery has no column for it: whether it names a card at all may be what is wrong with it. */
function cardIdIn(body: Buffer | null): unknown {
  try {
    const event = JSON.parse(body?.toString("utf8") ?? "null") as {
      data?: { card_id?: unknown };
    } | null;
    return event?.data?.card_id;
  } catch {
    return undefined;
  }
}

function isResolved({ kind }: Replay): boolean {
  return kind === "applied" || kind === "ignored" || kind === "stored-already";
}

function describe(name: string, result: Replay, isDryRun: boolean): string {
  switch (result.kind) {
    case "applied": {
      const verb = isDryRun ? "would be applied" : "applied";
      const what =
        result.changes.length === 0 ? `${verb}, changes nothing` : verb;
      return `${name}: ${what}\n${result.changes.map(describeChange).join("")}`;
    }
    case "ignored":
      return `${name}: its type has no handler\n`;
    case "stored-already":
      return `${name}: the same event is stored already\n`;
    case "still-invalid":
      return `${name}: still invalid: ${result.issues.map(({ path, message }) => `${path} ${message}`).join("; ")}\n`;
    case "conflict":
      return `${name}: another content is stored under this event_id; the first one stays\n`;
    case "no-body":
      return `${name}: its body is not kept (sensitive, or dropped by retention)\n`;
    case "not-found":
      return `${name}: not found\n`;
    case "failed":
      return `${name}: failed: ${result.error}\n`;
  }
}

/** Also used by `verify` and `rebuild`. */
export function describeChange({
  table,
  id,
  column,
  from,
  to,
}: ColumnChange): string {
  return `    ${table} ${id} ${column}: ${toText(from)} -> ${toText(to)}\n`;
}

function toText(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  return typeof value === "string" ? value : JSON.stringify(value);
}
