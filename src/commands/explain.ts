import type { Command } from "@commander-js/extra-typings";
import type { CardEvent } from "../domain/card-event.ts";
import type { Chapter, FieldNews } from "../domain/explain-card.ts";
import {
  explainCard,
  isAuthorizationReported,
} from "../domain/explain-card.ts";
import type { EventRecord } from "../store/event-records.ts";
import { findEventsOfCard } from "../store/event-records.ts";
import { decodeKeptEvent } from "../uqpay/decode-event.ts";
import type { Context, Frame, Outcome } from "./frame.ts";
import { JSON_OPTION } from "./frame.ts";
import { CommandError } from "./usage-error.ts";
import { withDatabase } from "./with-database.ts";

export function addExplain(program: Command, frame: Frame): void {
  program
    .command("explain")
    .summary("tell a card's story")
    .description(
      "Tells every event about a card in effective order, what each said, and what superseded it and why.",
    )
    .argument("<card_id>", "the card")
    .option(...JSON_OPTION)
    .action((cardId, options) =>
      frame.run(options, (context) => explain(context, cardId)),
    );
}

function explain(context: Context, cardId: string): Promise<Outcome> {
  return withDatabase(context, async (db) => {
    const records = await findEventsOfCard(db, cardId);
    if (records.length === 0)
      throw new CommandError(`No event about card ${cardId} is stored.`);
    const events = records
      .filter(({ state }) => state === "processed")
      .flatMap(decode);
    const story = explainCard(events);
    context.print(story.map(describeChapter).join(""));
    context.print(records.flatMap(describeUntold).join(""));
    return { result: { card_id: cardId, story } };
  });
}

function decode(record: EventRecord): CardEvent[] {
  if (record.body === null) return [];
  const decoded = decodeKeptEvent(record.body, record);
  return decoded.kind === "known" ? [decoded.event] : [];
}

function describeChapter({ event, clock, fields }: Chapter): string {
  const title = `${clock.at}  ${event.kind}  ${event.eventId}\n`;
  const transaction = isAuthorizationReported(event)
    ? `    transaction ${event.transactionId}: ${event.fields.transactionStatus ?? ""} ${event.fields.description ?? ""}\n`
    : "";
  return title + transaction + fields.map(describeField).join("");
}

function describeField({ field, value, fate }: FieldNews): string {
  const end =
    fate.kind === "stands"
      ? "stands"
      : `superseded by ${fate.by}: ${REASONS[fate.because]}`;
  return `    ${field} = ${JSON.stringify(value)}   ${end}\n`;
}

const REASONS = {
  final: "that cannot be taken back",
  announced: "that was announced, this only seen in passing",
  later: "that is later",
};

/** Events that have no part in the story, and why. */
function describeUntold(record: EventRecord): string[] {
  const why = whyUntold(record);
  if (why === undefined) return [];
  const { eventId, eventType, signedAt } = record;
  return [`${signedAt}  ${eventType}  ${eventId}\n    ${why}\n`];
}

function whyUntold(record: EventRecord): string | undefined {
  if (record.state !== "processed") return record.state;
  if (record.body === null) return "applied; its body was dropped by retention";
  return decode(record).length === 0
    ? "applied; this release cannot read it any more"
    : undefined;
}
