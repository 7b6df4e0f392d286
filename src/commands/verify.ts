import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "@commander-js/extra-typings";
import { rebuildProjections, verifyProjections } from "../operate/recompute.ts";
import type { ColumnChange } from "../operate/row-changes.ts";
import type { OpenEvents } from "../store/event-records.ts";
import {
  countOpenEvents,
  isKnownCard,
  listEvents,
} from "../store/event-records.ts";
import type { Frame, Outcome } from "./frame.ts";
import { CommandError } from "./frame.ts";
import { count, describeRowChange, printable } from "./text.ts";
import type { DatabaseContext } from "./with-database.ts";
import { withDatabase } from "./with-database.ts";

const VERIFY = {
  name: "verify",
  summary: "compare the tables with what the inbox says",
  description:
    "Recomputes every row from the inbox and reports each difference. Exit code 1 if there is one.",
  run: verifyProjections,
  done: "verified",
  describeDifferences: (n: number) => count(n, "difference"),
  /** Whether a difference is a finding, or was put right. */
  isFound: true,
} as const;

const REBUILD = {
  name: "rebuild",
  summary: "write the rows that differ from what the inbox says",
  description:
    "Recomputes every row from the inbox and writes the rows that differ.",
  run: rebuildProjections,
  done: "rebuilt",
  describeDifferences: (n: number) => `${count(n, "column")} changed`,
  isFound: false,
} as const;

export function addVerify(program: Command, { run }: Frame): void {
  for (const manner of [VERIFY, REBUILD])
    program
      .command(manner.name)
      .summary(manner.summary)
      .description(manner.description)
      .option("--card <card_id>", "only this card, its transactions and orders")
      .action(
        run(
          withDatabase((context, { card }) => recompute(context, card, manner)),
        ),
      );
}

async function recompute(
  context: DatabaseContext,
  cardId: string | undefined,
  { run, done, describeDifferences, isFound }: typeof VERIFY | typeof REBUILD,
): Promise<Outcome> {
  const { db, print, progress } = context;
  if (cardId !== undefined && !(await isKnownCard(db, cardId)))
    throw new CommandError(
      `There is no card ${printable(cardId)}: no event and no row speaks of it.`,
    );
  const open = await settleOpenEvents(context, cardId);
  let cards = 0;
  let others = 0;
  const differences: ColumnChange[] = [];
  const unreadable: string[] = [];
  const describeCounts = () => {
    const rows = others === 0 ? "" : ` and ${count(others, "row")} of no card`;
    return `${count(cards, "card")}${rows} ${done}, ${describeDifferences(differences.length)}`;
  };
  for await (const page of run(db, cardId)) {
    cards += page.cardCount;
    others += page.rowsWithoutCard;
    differences.push(...page.changes);
    unreadable.push(...page.unreadable);
    print(page.changes.map(describeRowChange).join(""));
    for (const eventId of page.unreadable)
      print(
        `    webhook_events ${printable(eventId)} body: cannot be read; what it set is taken from the row\n`,
      );
    progress.tell(describeCounts());
  }
  const also =
    unreadable.length > 0
      ? `, ${count(unreadable.length, "event")} unreadable`
      : "";
  print(`${describeCounts()}${also}\n`);
  const isOpen = open.waiting + open.failed > 0;
  const unapplied = isOpen ? await tellUnapplied(context, cardId, open) : [];
  return {
    result: {
      cards,
      rows_without_card: others,
      differences,
      unreadable_events: unreadable,
      ...open,
      unapplied_events: unapplied,
    },
    foundSomething:
      (isFound && differences.length > 0) || unreadable.length > 0 || isOpen,
  };
}

/** What is just being applied has this long to be; what then still waits is said. */
const SETTLE_MS = 3_000;
const SETTLE_PAUSE_MS = 100;

async function settleOpenEvents(
  { db, progress }: DatabaseContext,
  cardId: string | undefined,
): Promise<OpenEvents> {
  const began = new Date();
  for (;;) {
    const open = await countOpenEvents(db, cardId, began);
    const hasTime = Date.now() - began.getTime() < SETTLE_MS;
    if (open.waiting === 0 || !hasTime) return open;
    progress.tell(`${String(open.waiting)} events are being applied`);
    await sleep(SETTLE_PAUSE_MS);
  }
}

/** As many as a person reads. */
const MOST_SHOWN = 20;

/** No row can have what these events say. */
async function tellUnapplied(
  { db, print }: DatabaseContext,
  cardId: string | undefined,
  { waiting, failed }: OpenEvents,
): Promise<object[]> {
  const events = [
    ...(await listEvents(db, { state: "failed", cardId }, MOST_SHOWN)),
    ...(await listEvents(db, { state: "received", cardId }, MOST_SHOWN)),
  ].slice(0, MOST_SHOWN);
  print(
    `${count(failed, "event has", "events have")} failed and ${count(waiting, "waits", "wait")}: no row has what they say\n`,
  );
  return events.map(({ state, eventId, cardId: card, lastError }) => {
    const ofCard = card === null ? "" : ` of card ${card}`;
    const because = lastError === null ? "" : `: ${lastError}`;
    print(`    ${printable(`${state} ${eventId}${ofCard}${because}`)}\n`);
    return { event_id: eventId, card_id: card, state, last_error: lastError };
  });
}
