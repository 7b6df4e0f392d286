import type { Command } from "@commander-js/extra-typings";
import { Option } from "@commander-js/extra-typings";
import type { Replay } from "../operate/replay.ts";
import { replayEvent, replayQuarantined } from "../operate/replay.ts";
import type { Database } from "../store/database.ts";
import { EVENT_STATES, QUARANTINE_REASONS } from "../store/database.ts";
import type { EventFilter } from "../store/event-records.ts";
import { listEvents } from "../store/event-records.ts";
import type { QuarantineFilter } from "../store/quarantine-records.ts";
import { listQuarantine } from "../store/quarantine-records.ts";
import { hasHandler } from "../uqpay/event-types/index.ts";
import type { Frame, Outcome } from "./frame.ts";
import { UsageError } from "./frame.ts";
import {
  CARD,
  expectQuarantineIds,
  readLimit,
  refuseAny,
  SINCE,
  TYPE,
  UNTIL,
} from "./options.ts";
import { describeIssue, describeRowChange } from "./text.ts";
import type { DatabaseContext } from "./with-database.ts";
import { withDatabase } from "./with-database.ts";

const MOST = 1_000_000;

export function addReplay(program: Command, { run }: Frame): void {
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
    .option(...TYPE)
    .option(...CARD)
    .option(...SINCE)
    .option(...UNTIL)
    .option("--limit <n>", "at most so many", readLimit)
    .option(
      "--dry-run",
      "show which column of which row would change, and change nothing",
    )
    .hook("preAction", (command) => {
      refuseContradictions(command.args, command.opts());
    })
    .action(run(withDatabase(replay)));
}

interface Choice
  extends
    Pick<EventFilter, "state" | "type" | "since" | "until">,
    Pick<QuarantineFilter, "reason"> {
  readonly failed?: true | undefined;
  readonly quarantined?: true | undefined;
  readonly card?: string | undefined;
  readonly limit?: number | undefined;
  readonly dryRun?: true | undefined;
}

const isOfQuarantine = ({ quarantined, reason }: Choice) =>
  quarantined === true || reason !== undefined;

function refuseContradictions(ids: readonly string[], choice: Choice): void {
  if (isOfQuarantine(choice)) {
    const why = "what is in the quarantine has no state";
    refuseAny(["failed", "state"], choice, why);
    expectQuarantineIds("--quarantined", ids);
  }
  if (choice.failed === true)
    refuseAny(["state"], choice, "--failed is a state of its own");
  if (ids.length > 0)
    refuseAny([...CHOICES, "limit"], choice, "the ids say what is replayed");
  else if (!["quarantined", ...CHOICES].some((name) => name in choice))
    throw new UsageError(
      "error: say what is replayed: ids, --failed, --quarantined, or what it must match. See: replay --help",
    );
}

/** Each says which events are meant. */
const CHOICES = ["failed", "state", "reason", "type", "card", "since", "until"];

async function replay(
  { db, print, progress }: DatabaseContext,
  ids: readonly string[],
  choice: Choice,
): Promise<Outcome> {
  const isDryRun = choice.dryRun === true;
  const verb = isDryRun ? "would be applied" : "applied";
  const targets = await findTargets(db, ids, choice);
  const ends: object[] = [];
  const unchanged = new Map<string, number>();
  let unresolved = 0;
  for (const target of targets) {
    const end = await target.replay(isDryRun);
    const { kind, ...rest } = end;
    ends.push({ ...target.ids, outcome: kind, ...rest });
    const summary = summarize(end, verb);
    if (summary === undefined) unresolved++;
    const changes = "changes" in end ? end.changes : [];
    if (summary !== undefined && changes.length === 0 && targets.length > 1)
      unchanged.set(summary, (unchanged.get(summary) ?? 0) + 1);
    else
      print(
        `${target.name}: ${describe(end, verb)}\n${changes.map(describeRowChange).join("")}`,
      );
    progress.tell(
      `${String(ends.length)} of ${String(targets.length)} ${isDryRun ? "looked at" : "replayed"}`,
    );
  }
  for (const [summary, count] of unchanged)
    print(`${String(count)} ${summary}\n`);
  print(
    `${String(targets.length)} ${isDryRun ? "looked at, nothing changed" : "replayed"}` +
      `, ${String(unresolved)} of them could not be applied\n`,
  );
  return {
    result: { dry_run: isDryRun, events: ends },
    foundSomething: unresolved > 0,
  };
}

/** One event to replay: what it is called, and how it is replayed. */
interface Target {
  readonly name: string;
  readonly ids: object;
  readonly replay: (isDryRun: boolean) => Promise<Replay>;
}

async function findTargets(
  db: Database,
  ids: readonly string[],
  choice: Choice,
): Promise<Target[]> {
  const { type, since, until, reason, card: cardId, limit = MOST } = choice;
  const filter = { type, since, until, cardId };
  const isNamed = ids.length > 0;
  if (isOfQuarantine(choice)) {
    const named = isNamed ? { ids, withResolved: true } : { reason };
    const rows = await listQuarantine(db, { ...filter, ...named }, limit);
    const eventIds = new Map(rows.map(({ id, eventId }) => [id, eventId]));
    // An id that there is not is not passed over.
    return [...new Set(isNamed ? ids : eventIds.keys())].map((id) => {
      const eventId = eventIds.get(id) ?? null;
      return {
        name: `quarantine ${id}${eventId === null ? "" : ` (${eventId})`}`,
        ids: { quarantine_id: id, event_id: eventId },
        replay: (isDryRun) => replayQuarantined(db, id, isDryRun),
      };
    });
  }
  const state = choice.failed === true ? "failed" : choice.state;
  const events = isNamed
    ? ids.map((eventId) => ({ eventId, eventType: undefined }))
    : await listEvents(db, { ...filter, state }, limit);
  return events.map(({ eventId, eventType }) => ({
    name: eventId,
    ids: { event_id: eventId },
    replay: async (isDryRun) => {
      const end = await replayEvent(db, eventId, isDryRun);
      // Among all that were ignored those are no finding of which nothing was to be applied.
      const isIgnored = eventType !== undefined && !hasHandler(eventType);
      return end.kind === "no-body" && isIgnored ? { kind: "ignored" } : end;
    },
  }));
}

/** What is said once for all that changed nothing; undefined: it could not be applied. */
function summarize({ kind }: Replay, verb: string): string | undefined {
  if (kind === "applied") return `${verb}, changing nothing`;
  if (kind === "ignored") return "of a type that has no handler";
  return kind === "stored-already" ? "stored already" : undefined;
}

function describe(end: Replay, verb: string): string {
  switch (end.kind) {
    case "applied":
      return end.changes.length === 0 ? `${verb}, changes nothing` : verb;
    case "ignored":
      return "its type has no handler";
    case "stored-already":
      return "the same event is stored already";
    case "still-invalid":
      return `still invalid: ${end.issues.map(describeIssue).join("; ")}`;
    case "conflict":
      return "another content is stored under this event_id; the first one stays";
    case "no-body":
      return "its body is not kept (sensitive, or dropped by retention)";
    case "not-found":
      return "not found";
    case "failed":
      return `failed: ${end.error}`;
  }
}
