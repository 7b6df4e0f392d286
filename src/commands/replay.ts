import type { Command } from "@commander-js/extra-typings";
import { Option } from "@commander-js/extra-typings";
import type { Replay } from "../operate/replay.ts";
import { replayEvent, replayQuarantined } from "../operate/replay.ts";
import type { Database } from "../store/database.ts";
import { EVENT_STATES, QUARANTINE_REASONS } from "../store/database.ts";
import { listEvents } from "../store/event-records.ts";
import { listQuarantine } from "../store/quarantine-records.ts";
import { describeChange, toPlainChange } from "./describe-change.ts";
import type { Context, Frame, Outcome } from "./frame.ts";
import { JSON_OPTION } from "./frame.ts";
import { isQuarantineId, readLimit, readTime } from "./read-options.ts";
import { UsageError } from "./usage-error.ts";
import { withDatabase } from "./with-database.ts";

const MOST = 1_000_000;

export function addReplay(program: Command, frame: Frame): void {
  program
    .command("replay")
    .summary("apply events again")
    .description(
      "Applies events again through the code of today: those that are named, or those that match.",
    )
    .argument("[id...]", "event ids; with --quarantined, ids of the quarantine")
    .option("--failed", "those that were given up")
    .addOption(
      new Option("--state <state>", "those of this state").choices(
        EVENT_STATES,
      ),
    )
    .option("--quarantined", "out of the quarantine")
    .addOption(
      new Option(
        "--reason <reason>",
        "out of the quarantine, for this reason",
      ).choices(QUARANTINE_REASONS),
    )
    .option("--type <type>", "only of this event type")
    .option("--card <card_id>", "only about this card")
    .option(
      "--since <time>",
      "only received then or later: 2026-04-12T10:00:00Z, or an age: 30m, 6h, 2d",
      readTime,
    )
    .option("--until <time>", "only received before", readTime)
    .option("--limit <n>", "at most so many", readLimit)
    .option(
      "--dry-run",
      "show which column of which row would change, and change nothing",
    )
    .option(...JSON_OPTION)
    .action((ids, options) => {
      refuseContradictions(ids, options);
      return frame.run(options, (context) =>
        withDatabase(context, (db) => replay(context, db, ids, options)),
      );
    });
}

interface Choice {
  readonly failed?: true | undefined;
  readonly state?: (typeof EVENT_STATES)[number] | undefined;
  readonly quarantined?: true | undefined;
  readonly reason?: (typeof QUARANTINE_REASONS)[number] | undefined;
  readonly type?: string | undefined;
  readonly card?: string | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly limit?: number | undefined;
  readonly dryRun?: true | undefined;
}

/** Each of them is meant as a choice or as a restriction: none may be ignored. */
function refuseContradictions(ids: readonly string[], choice: Choice): void {
  const { failed, state, quarantined, reason, type, card, since, until } =
    choice;
  const restrictions = { type, card, since, until, limit: choice.limit };
  const [restriction] = namesOf(restrictions);
  const isOfQuarantine = quarantined === true || reason !== undefined;
  if (isOfQuarantine) {
    const [other] = namesOf({ failed, state });
    if (other !== undefined)
      throw new UsageError(
        `error: what is in the quarantine has no state: --${other} cannot be used with it.`,
      );
    const wrong = ids.find((id) => !isQuarantineId(id));
    if (wrong !== undefined)
      throw new UsageError(
        `error: --quarantined takes the ids that quarantine lists: '${wrong}' is none.`,
      );
  }
  if (failed === true && state !== undefined && state !== "failed")
    throw new UsageError("error: --failed and --state name different states.");
  const [chosen] = namesOf({ failed, state, reason });
  const tooMany = chosen ?? restriction;
  if (ids.length > 0 && tooMany !== undefined)
    throw new UsageError(
      `error: the ids say what is replayed: --${tooMany} cannot be used with them.`,
    );
  const [any] = namesOf({
    failed,
    state,
    quarantined,
    reason,
    ...restrictions,
  });
  if (ids.length === 0 && (any === undefined || any === "limit"))
    throw new UsageError(
      "error: say what is replayed: ids, --failed, --quarantined, or what it must match. See: replay --help",
    );
}

function namesOf(options: object): string[] {
  return Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name);
}

/** One event to replay: what it is called, and how it is replayed. */
interface Target {
  readonly name: string;
  readonly ids: object;
  readonly replay: (isDryRun: boolean) => Promise<Replay>;
}

async function replay(
  context: Context,
  db: Database,
  ids: readonly string[],
  choice: Choice,
): Promise<Outcome> {
  const isDryRun = choice.dryRun === true;
  const targets = await findTargets(db, ids, choice);
  const ends: object[] = [];
  const unchanged = new Map<string, number>();
  let unresolved = 0;
  for (const { name, ids: names, replay: run } of targets) {
    const end = await run(isDryRun);
    ends.push({ ...names, ...toPlain(end) });
    if (!isResolved(end)) unresolved++;
    const summary = summarize(end, isDryRun);
    if (summary === undefined || targets.length === 1)
      context.print(describe(name, end, isDryRun));
    else unchanged.set(summary, (unchanged.get(summary) ?? 0) + 1);
    context.progress.tell(
      `${String(ends.length)} of ${String(targets.length)} ${isDryRun ? "looked at" : "replayed"}`,
    );
  }
  for (const [summary, count] of unchanged)
    context.print(`${String(count)} ${summary}\n`);
  context.print(
    `${String(targets.length)} ${isDryRun ? "looked at, nothing changed" : "replayed"}` +
      `, ${String(unresolved)} of them could not be applied\n`,
  );
  return {
    result: { dry_run: isDryRun, events: ends },
    foundSomething: unresolved > 0,
  };
}

async function findTargets(
  db: Database,
  ids: readonly string[],
  choice: Choice,
): Promise<Target[]> {
  const { type, since, until, limit = MOST } = choice;
  const period = { type, since, until };
  if (choice.quarantined === true || choice.reason !== undefined) {
    const isNamed = ids.length > 0;
    const rows = await listQuarantine(
      db,
      {
        ...period,
        ids: isNamed ? ids : undefined,
        reason: choice.reason,
        cardId: choice.card,
        withResolved: isNamed,
      },
      limit,
    );
    const eventIds = new Map(rows.map(({ id, eventId }) => [id, eventId]));
    // An id that there is not is not passed over.
    const wanted = isNamed ? [...new Set(ids)] : [...eventIds.keys()];
    return wanted.map((id) => ({
      name: nameOf(id, eventIds.get(id)),
      ids: { quarantine_id: id, event_id: eventIds.get(id) ?? null },
      replay: (isDryRun) => replayQuarantined(db, id, isDryRun),
    }));
  }
  const state = choice.failed === true ? "failed" : choice.state;
  const found =
    ids.length > 0
      ? ids
      : (
          await listEvents(db, { ...period, state, cardId: choice.card }, limit)
        ).map(({ eventId }) => eventId);
  return found.map((eventId) => ({
    name: eventId,
    ids: { event_id: eventId },
    replay: (isDryRun) => replayEvent(db, eventId, isDryRun),
  }));
}

function nameOf(id: string, eventId: string | null | undefined): string {
  return `quarantine ${id}${eventId === null || eventId === undefined ? "" : ` (${eventId})`}`;
}

function toPlain(end: Replay): object {
  const { kind, ...rest } = end;
  return "changes" in rest
    ? { outcome: kind, changes: rest.changes.map(toPlainChange) }
    : { outcome: kind, ...rest };
}

/** What is said once for all that changed nothing; undefined: it is worth a line of its own. */
function summarize(end: Replay, isDryRun: boolean): string | undefined {
  if (end.kind === "ignored") return "of a type that has no handler";
  if (end.kind === "stored-already")
    return end.changes.length === 0 ? "stored already" : undefined;
  return end.kind === "applied" && end.changes.length === 0
    ? `${isDryRun ? "would be applied" : "applied"}, changing nothing`
    : undefined;
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
      return `${name}: the same event is stored already\n${result.changes.map(describeChange).join("")}`;
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
