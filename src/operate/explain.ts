import { compareCodePoints } from "../domain/clock.ts";
import { textOf } from "../domain/json.ts";
import { cards } from "../projections/cards.ts";
import { PROJECTIONS } from "../projections/index.ts";
import type { Projection } from "../projections/projection.ts";
import type { Known } from "../projections/rows.ts";
import { columnsOf, readRowIfPossible } from "../projections/rows.ts";
import type { Database, Transaction } from "../store/database.ts";
import type { EventWithOutcome } from "../store/event-records.ts";
import { findEventsOfCard } from "../store/event-records.ts";
import { findKeysOfCards } from "../store/projection-rows.ts";
import type { QuarantineRecord } from "../store/quarantine-records.ts";
import { listQuarantine } from "../store/quarantine-records.ts";
import { decodeKeptEvent } from "../uqpay/decode-event.ts";
import { verifyProjections } from "./recompute.ts";
import type { ColumnChange, Tables } from "./row-changes.ts";
import { readTables } from "./row-changes.ts";
import type { Chapter, EventStatements } from "./story.ts";
import { statementsOf, tellStory } from "./story.ts";

/** A card's story, by the names of SQL: what a console shows and what `explain --json` gives. */
export interface CardExplanation {
  readonly card_id: string;
  /**
   * Whether the rows say what the applied events imply. `differs`: see `differences`. `missing`: there must be a row.
   * `unexplained`: there is one, and no event that explains it. `absent`: there is none, and need not be.
   */
  readonly row: "agrees" | "differs" | "missing" | "unexplained" | "absent";
  /** Columns of the card's row and of its transactions that say something else than the events imply. */
  readonly differences: readonly Difference[];
  /** What the events imply; null where none states a status. */
  readonly status: ReturnType<typeof statusIn>;
  /** How many of the events below were not applied, and how many open deliveries are in quarantine. */
  readonly open: {
    readonly waiting: number;
    readonly failed: number;
    readonly quarantined: number;
  };
  /** All that are stored about the card, in effective order. */
  readonly events: readonly EventStory[];
  /** What was authentic and could not be taken in, the first one first. */
  readonly quarantined: readonly Quarantined[];
}

export type Difference = ReturnType<typeof toDifference>;
export type EventStory = ReturnType<typeof tellEvent>;
export type Quarantined = ReturnType<typeof toQuarantined>;

/** A card has few; a sender that went wrong may have made many. */
const MOST_QUARANTINED = 1_000;

/** An event with what it says. */
interface ExplainedEvent {
  readonly event: EventWithOutcome;
  /** By its body; undefined: the body is gone, or cannot be read. */
  readonly read: EventStatements | undefined;
  /** Its part in the story; undefined where it was not applied, or nothing of it is known. */
  readonly said: EventStatements | undefined;
}

/**
 * Says what is true of a card and how it came about.
 *
 * @returns undefined when nothing is known of the card: no row, no event, no quarantined delivery
 */
export async function explainCard(
  db: Database,
  cardId: string,
  projections = PROJECTIONS,
): Promise<CardExplanation | undefined> {
  const differences: ColumnChange[] = [];
  for await (const { changes } of verifyProjections(db, cardId, projections))
    differences.push(...changes);
  return db
    .transaction()
    .setIsolationLevel("repeatable read")
    .setAccessMode("read only")
    .execute((trx) => explain(trx, cardId, differences, projections));
}

async function explain(
  trx: Transaction,
  cardId: string,
  differences: readonly ColumnChange[],
  projections: readonly Projection[],
): Promise<CardExplanation | undefined> {
  const events = await findEventsOfCard(trx, cardId);
  const quarantined = await listQuarantine(
    trx,
    { cardId, withResolved: true },
    MOST_QUARANTINED,
  );
  const keysByTable = [];
  for (const projection of projections) {
    const keys = await findKeysOfCards(trx, projection, [cardId]);
    keysByTable.push({ projection, keys });
  }
  const stored = await readTables(trx, keysByTable);
  const hasRow = stored.get(cards)?.has(cardId) === true;
  if (events.length + quarantined.length === 0 && !hasRow) return undefined;

  const tellings = events.map((event): ExplainedEvent => {
    const read = readStatements(event, projections);
    if (event.state !== "processed") return { event, read, said: undefined };
    return { event, read, said: read ?? recallStatements(event, stored) };
  });
  const { chapters, standing } = tellStory(
    tellings.flatMap(({ said }) => said ?? []),
  );
  const chapterOf = new Map(chapters.map((one) => [one.event, one]));
  return {
    card_id: cardId,
    row: judge(hasRow, differences),
    differences: differences.map(toDifference),
    status: statusIn(standing.get(cards), cardId, events),
    open: {
      waiting: events.filter(({ state }) => state === "received").length,
      failed: events.filter(({ state }) => state === "failed").length,
      quarantined: quarantined.filter(({ resolution }) => resolution === null)
        .length,
    },
    events: tellings
      .map((telling) => tellEvent(telling, chapterOf))
      .toSorted(byEffect),
    quarantined: quarantined.map(toQuarantined),
  };
}

function toDifference({ from, to, ...where }: ColumnChange) {
  return { ...where, row_says: from, events_imply: to };
}

function judge(
  hasRow: boolean,
  differences: readonly ColumnChange[],
): CardExplanation["row"] {
  const whole = differences.find(
    ({ table, column }) => table === "cards" && column === "card_id",
  );
  if (whole !== undefined) return hasRow ? "unexplained" : "missing";
  if (differences.length > 0) return "differs";
  return hasRow ? "agrees" : "absent";
}

/** The same order as that of the clocks of the story. */
function byEffect(a: EventStory, b: EventStory): number {
  if (a.at !== b.at) return a.at < b.at ? -1 : 1;
  if (a.signed_at !== b.signed_at) return a.signed_at < b.signed_at ? -1 : 1;
  return compareCodePoints(a.event_id, b.event_id);
}

function readStatements(
  event: EventWithOutcome,
  projections: readonly Projection[],
): EventStatements | undefined {
  if (event.body === null) return undefined;
  const decoded = decodeKeptEvent(event.body, event);
  return decoded.kind === "known"
    ? statementsOf(decoded.event, projections)
    : undefined;
}

/** Of an event whose body is gone: what still stands of it in the rows, which name the event for each column. */
function recallStatements(
  { eventId }: EventWithOutcome,
  stored: Tables,
): EventStatements | undefined {
  const statements = [...stored].flatMap(([projection, rows]) =>
    [...rows.values()].flatMap((row) => {
      const known = readRowIfPossible(projection, row);
      const set = Object.entries(known?.registers ?? {}).filter(
        ([, { clock }]) => clock.eventId === eventId,
      );
      if (known === undefined || set.length === 0) return [];
      return [
        { projection, key: known.key, registers: Object.fromEntries(set) },
      ];
    }),
  );
  const [first] = statements.flatMap(({ registers }) =>
    Object.values(registers),
  );
  if (first === undefined) return undefined;
  return { clock: { ...first.clock, finality: 0, authority: 0 }, statements };
}

function statusIn(
  known: Known | undefined,
  cardId: string,
  events: readonly EventWithOutcome[],
) {
  const card = known?.get(cardId);
  const { card_status: status, observed_status: observed } =
    card?.registers ?? {};
  if (card === undefined || status === undefined) return null;
  const { eventId, at } = status.clock;
  // Undefined where that event is not in the inbox.
  const event = events.find((one) => one.eventId === eventId);
  const columns = columnsOf(cards, card);
  return {
    card_status: textOf(status.value),
    status_reason: columns["status_reason"] as string | null,
    status_changed_at: at,
    event_id: eventId,
    event_type: event?.eventType ?? null,
    received_at: event?.receivedAt ?? null,
    // The latest status seen in passing, in a snapshot.
    observed_status: columns["observed_status"] as string | null,
    observed_status_at: observed?.clock.at ?? null,
    // A later snapshot shows another status: an announcement is late or was lost.
    status_contradicted: columns["status_contradicted"] === true,
  };
}

function tellEvent(
  { event, read, said }: ExplainedEvent,
  chapterOf: ReadonlyMap<EventStatements, Chapter>,
) {
  const chapter = said && chapterOf.get(said);
  return {
    // When it took effect: its own time, else the signing.
    at: (said ?? read)?.clock.at ?? event.signedAt,
    event_id: event.eventId,
    event_type: event.eventType,
    signed_at: event.signedAt,
    received_at: event.receivedAt,
    state: event.state,
    attempts: event.attempts,
    last_error: event.lastError,
    processed_at: event.processedAt,
    // Optional fields that could not be read and count as not stated.
    issues: event.issues,
    note: noteOn(event, read),
    // What it changed, given what the events before it had said. Of what was not applied: nothing.
    changes: chapter?.changes ?? [],
    // What it says, or would say, that does not stand.
    superseded: chapter?.superseded ?? [],
  };
}

/** Why its part in the story is not known whole: only what still stands of it in the row is. */
function noteOn(
  { body, state }: EventWithOutcome,
  read: EventStatements | undefined,
): "body_dropped" | "unreadable" | null {
  if (state === "ignored" || read !== undefined) return null;
  return body === null ? "body_dropped" : "unreadable";
}

function toQuarantined(record: QuarantineRecord) {
  return {
    id: record.id,
    reason: record.reason,
    event_id: record.eventId,
    event_type: record.eventType,
    issues: record.issues,
    signed_at: record.signedAt,
    received_at: record.receivedAt,
    last_received_at: record.lastReceivedAt,
    deliveries: record.deliveries,
    resolution: record.resolution,
  };
}
