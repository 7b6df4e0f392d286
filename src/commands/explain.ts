import type { Config } from "../config.ts";
import type { CardEvent } from "../domain/card-event.ts";
import type { Chapter, FieldNews } from "../domain/explain-card.ts";
import {
  explainCard,
  isAuthorizationReported,
} from "../domain/explain-card.ts";
import type { EventRecord } from "../store/event-records.ts";
import { findEventsOfCard } from "../store/event-records.ts";
import { decodeKeptEvent } from "../uqpay/decode-event.ts";
import { print } from "./print.ts";
import { readOptions } from "./read-options.ts";
import { UsageError } from "./usage-error.ts";
import { withDatabase } from "./with-database.ts";

export const EXPLAIN_USAGE = `explain CARD_ID
      a card's story: every event about it in effective order, what each said, and what superseded it and why`;

export async function explain(
  args: readonly string[],
  config: Config,
): Promise<void> {
  const { positionals } = readOptions(args, {}, EXPLAIN_USAGE, true);
  const [cardId] = positionals;
  if (cardId === undefined) throw new UsageError(`usage: ${EXPLAIN_USAGE}`);
  await withDatabase(config, async (db) => {
    const records = await findEventsOfCard(db, cardId);
    const events = records
      .filter(({ state }) => state === "processed")
      .flatMap(decode);
    print(explainCard(events).map(describeChapter).join(""));
    print(records.flatMap(describeUntold).join(""));
    if (records.length === 0)
      throw new UsageError(`No event about card ${cardId} is stored.`);
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
