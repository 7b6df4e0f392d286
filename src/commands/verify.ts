import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "@commander-js/extra-typings";
import type { RecomputeProgress } from "../operate/recompute.ts";
import { rebuildProjections, verifyProjections } from "../operate/recompute.ts";
import type { Database, EventState } from "../store/database.ts";
import type { OpenEvents } from "../store/event-records.ts";
import {
  countOpenEvents,
  isKnownCard,
  listEvents,
} from "../store/event-records.ts";
import { listQuarantine } from "../store/quarantine-records.ts";
import type { ColumnChange } from "../operate/row-changes.ts";
import type { Context, Frame, Outcome } from "./frame.ts";
import { JSON_OPTION } from "./frame.ts";
import { describeChange, toPlainChange } from "./describe-change.ts";
import { printable } from "./print.ts";
import { CommandError } from "./usage-error.ts";
import { withDatabase } from "./with-database.ts";

export function addVerify(program: Command, frame: Frame): void {
  program
    .command("verify")
    .summary("compare the tables with what the inbox says")
    .description(
      "Recomputes every card and authorization from the inbox and reports each difference. Exit code 1 if there is one.",
    )
    .option("--card <card_id>", "only this card and its authorizations")
    .option(...JSON_OPTION)
    .action((options) =>
      frame.run(options, (context) =>
        withDatabase(context, (db) =>
          recompute(context, db, options.card, verifyProjections, {
            done: "verified",
            difference: ["difference", "differences"],
            isFound: true,
          }),
        ),
      ),
    );
}

export function addRebuild(program: Command, frame: Frame): void {
  program
    .command("rebuild")
    .summary("write the rows that differ from what the inbox says")
    .description(
      "Recomputes every card and authorization from the inbox and writes the rows that differ.",
    )
    .option("--card <card_id>", "only this card and its authorizations")
    .option(...JSON_OPTION)
    .action((options) =>
      frame.run(options, (context) =>
        withDatabase(context, (db) =>
          recompute(context, db, options.card, rebuildProjections, {
            done: "rebuilt",
            difference: ["column changed", "columns changed"],
            isFound: false,
          }),
        ),
      ),
    );
}

type Recompute = (
  db: Database,
  cardId?: string,
) => AsyncGenerator<RecomputeProgress>;

interface Manner {
  readonly done: string;
  readonly difference: readonly [one: string, many: string];
  /** Whether a difference is a finding, or was put right. */
  readonly isFound: boolean;
}

async function recompute(
  context: Context,
  db: Database,
  cardId: string | undefined,
  run: Recompute,
  { done, difference, isFound }: Manner,
): Promise<Outcome> {
  if (cardId !== undefined) await expectKnownCard(db, cardId);
  const open = await settleOpenEvents(context, db, cardId);
  let cards = 0;
  const differences: ColumnChange[] = [];
  const unreadable: string[] = [];
  for await (const page of run(db, cardId)) {
    cards += page.cardCount;
    for (const change of page.changes) {
      differences.push(change);
      context.print(describeChange(change));
    }
    for (const eventId of page.unreadable) {
      unreadable.push(eventId);
      context.print(
        `    webhook_events ${printable(eventId)} body: cannot be read; what it set is taken from the row\n`,
      );
    }
    context.progress.tell(
      `${String(cards)} cards ${done}, ${String(differences.length)} ${difference[1]}`,
    );
  }
  context.print(
    `${count(cards, ["card", "cards"])} ${done}, ${count(differences.length, difference)}` +
      `${unreadable.length === 0 ? "" : `, ${count(unreadable.length, ["event", "events"])} unreadable`}\n`,
  );
  const unapplied = await sayUnapplied(context, db, cardId, open);
  return {
    result: {
      cards,
      differences: differences.map(toPlainChange),
      unreadable_events: unreadable,
      waiting: open.waiting,
      failed: open.failed,
      unapplied_events: unapplied,
    },
    foundSomething:
      (isFound && differences.length > 0) ||
      unreadable.length + open.waiting + open.failed > 0,
  };
}

async function expectKnownCard(db: Database, cardId: string): Promise<void> {
  if (await isKnownCard(db, cardId)) return;
  const quarantined = await listQuarantine(db, { cardId }, 1);
  throw new CommandError(
    `There is no card ${printable(cardId)}: no event and no row speaks of it` +
      (quarantined.length === 0
        ? "."
        : ", but an open delivery in the quarantine does. See quarantine --card."),
  );
}

/** What is just being applied has this long to be; what then still waits is said. */
const SETTLE_MS = 3_000;
const SETTLE_PAUSE_MS = 100;

async function settleOpenEvents(
  context: Context,
  db: Database,
  cardId: string | undefined,
): Promise<OpenEvents> {
  const began = new Date();
  for (;;) {
    const open = await countOpenEvents(db, cardId, began);
    const hasTime = Date.now() - began.getTime() < SETTLE_MS;
    if (open.waiting === 0 || !hasTime) return open;
    context.progress.tell(`${String(open.waiting)} events are being applied`);
    await sleep(SETTLE_PAUSE_MS);
  }
}

/** As many as a person reads. */
const MOST_SHOWN = 20;

/** Rows cannot have what these events say. */
async function sayUnapplied(
  context: Context,
  db: Database,
  cardId: string | undefined,
  { waiting, failed }: OpenEvents,
): Promise<object[]> {
  if (waiting + failed === 0) return [];
  const listed = (state: EventState) =>
    listEvents(db, { state, cardId }, MOST_SHOWN);
  const events = [
    ...(failed > 0 ? await listed("failed") : []),
    ...(waiting > 0 ? await listed("received") : []),
  ].slice(0, MOST_SHOWN);
  context.print(
    `${count(failed, ["event has", "events have"])} failed and ${count(waiting, ["waits", "wait"])}: no row has what they say\n`,
  );
  for (const { state, eventId, cardId: card, lastError } of events)
    context.print(
      `    ${state} ${printable(eventId)}${card === null ? "" : ` of card ${printable(card)}`}${lastError === null ? "" : `: ${printable(lastError)}`}\n`,
    );
  return events.map((event) => ({
    event_id: event.eventId,
    card_id: event.cardId,
    state: event.state,
    last_error: event.lastError,
  }));
}

function count(number: number, [one, many]: readonly [string, string]): string {
  return `${String(number)} ${number === 1 ? one : many}`;
}
