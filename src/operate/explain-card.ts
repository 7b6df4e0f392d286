import type { Card } from "../domain/card.ts";
import { isContradicted } from "../domain/card.ts";
import type { Clock } from "../domain/clock.ts";
import { compareCodePoints } from "../domain/clock.ts";
import type {
  Chapter,
  Known,
  Reason,
  Statement,
} from "../domain/explain-card.ts";
import {
  explainCard as tellStory,
  statementOf,
} from "../domain/explain-card.ts";
import type { Instant } from "../domain/instant.ts";
import { verifyProjection } from "./recompute.ts";
import { toRow as toAuthorizationRow } from "../store/authorizations.ts";
import { findCards, toRow as toCardRow } from "../store/cards.ts";
import type { Database, EventState, Transaction } from "../store/database.ts";
import type { ToldEvent } from "../store/event-records.ts";
import { findEventsOfCard } from "../store/event-records.ts";
import type { QuarantineRecord } from "../store/quarantine-records.ts";
import { listQuarantine } from "../store/quarantine-records.ts";
import type { ColumnChange, ProjectionRows } from "../store/row-changes.ts";
import { compareProjections, readProjection } from "../store/row-changes.ts";
import { decodeKeptEvent } from "../uqpay/decode-event.ts";

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
  readonly status: Status | null;
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

export interface Difference {
  readonly table: ColumnChange["table"];
  readonly id: string;
  readonly column: string;
  readonly row_says: unknown;
  readonly events_imply: unknown;
}

export interface Status {
  readonly card_status: string;
  readonly status_reason: string | null;
  readonly status_changed_at: Instant;
  readonly event_id: string;
  /** Null where that event is not in the inbox. */
  readonly event_type: string | null;
  readonly received_at: Instant | null;
  /** The latest status seen in passing, in a snapshot; null where there was none. */
  readonly observed_status: string | null;
  readonly observed_status_at: Instant | null;
  /** A later snapshot shows another status: an announcement is late or was lost. */
  readonly status_contradicted: boolean;
}

export interface EventStory {
  /** When it took effect: its own time, else the signing. */
  readonly at: Instant;
  readonly event_id: string;
  readonly event_type: string;
  readonly signed_at: Instant;
  readonly received_at: Instant;
  readonly state: EventState;
  readonly attempts: number;
  readonly last_error: string | null;
  readonly processed_at: Instant | null;
  /** Optional fields that could not be read and count as not stated. */
  readonly issues: ToldEvent["issues"];
  /** Why its part in the story is not known whole. */
  readonly note: Note | null;
  /** What it changed, given what the events before it had said. Of what was not applied: nothing. */
  readonly changes: readonly ColumnChange[];
  /** What it says, or would say, that does not stand. */
  readonly superseded: readonly SupersededColumn[];
}

export type Note =
  /** The body was dropped; only what still stands in the row is known. */
  | "body_dropped"
  /** This release cannot read the body any more; only what still stands in the row is known. */
  | "unreadable";

export interface SupersededColumn {
  readonly table: ColumnChange["table"];
  readonly id: string;
  readonly column: string;
  readonly value: unknown;
  readonly by: string;
  readonly because: Reason;
}

export interface Quarantined {
  readonly id: string;
  readonly reason: string;
  readonly event_id: string | null;
  readonly event_type: string | null;
  readonly issues: QuarantineRecord["issues"];
  readonly signed_at: Instant | null;
  readonly received_at: Instant;
  readonly last_received_at: Instant;
  readonly deliveries: number;
  readonly resolution: string | null;
}

/** A card has few; a sender that went wrong may have made many. */
const MOST_QUARANTINED = 1_000;

/** An event with what it says. */
interface Telling {
  readonly event: ToldEvent;
  /** By its body; undefined: the body is gone, or cannot be read. */
  readonly read: Statement | undefined;
  /** Its part in the story; undefined where it was not applied, or nothing of it is known. */
  readonly said: Statement | undefined;
}

/**
 * Says what is true of a card and how it came about.
 *
 * @returns undefined when nothing is known of the card: no row, no event, no quarantined delivery
 */
export async function explainCard(
  db: Database,
  cardId: string,
): Promise<CardExplanation | undefined> {
  const differences: ColumnChange[] = [];
  for await (const { changes } of verifyProjection(db, cardId))
    differences.push(...changes);
  return db
    .transaction()
    .setIsolationLevel("repeatable read")
    .setAccessMode("read only")
    .execute((trx) => explain(trx, cardId, differences));
}

async function explain(
  trx: Transaction,
  cardId: string,
  differences: readonly ColumnChange[],
): Promise<CardExplanation | undefined> {
  const events = await findEventsOfCard(trx, cardId);
  const quarantined = await listQuarantine(
    trx,
    { cardId, withResolved: true },
    MOST_QUARANTINED,
  );
  const [row] = (await readProjection(trx, [cardId], [])).cards.values();
  if (events.length + quarantined.length === 0 && row === undefined)
    return undefined;

  const [stored] = await findCards(trx, [cardId]);
  const tellings = events.map((event): Telling => {
    const read = readStatement(event);
    if (event.state !== "processed") return { event, read, said: undefined };
    return { event, read, said: read ?? recallStatement(event, stored) };
  });
  const chapters = tellStory(tellings.flatMap(({ said }) => said ?? []));
  const chapterOf = new Map(chapters.map((one) => [one.statement, one]));
  return {
    card_id: cardId,
    row: judge(row !== undefined, differences),
    differences: differences.map(({ from, to, ...where }) => ({
      ...where,
      row_says: from ?? null,
      events_imply: to ?? null,
    })),
    status: statusIn(chapters.at(-1)?.after.card, events),
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

function readStatement(event: ToldEvent): Statement | undefined {
  if (event.body === null) return undefined;
  try {
    const decoded = decodeKeptEvent(event.body, event);
    return decoded.kind === "known" ? statementOf(decoded.event) : undefined;
  } catch (error) {
    // Somebody has edited the body: it is not even JSON. The rest of the story is true all the same.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Of an event whose body is gone: what still stands of it in the row, which names the event for each column. */
function recallStatement(
  { eventId, signedAt }: ToldEvent,
  stored: Card | undefined,
): Statement | undefined {
  if (stored === undefined) return undefined;
  const set = Object.entries(stored.registers).filter(
    ([, { clock }]) => clock.eventId === eventId,
  );
  const [[, first] = []] = set;
  if (first === undefined) return undefined;
  const clock: Clock = { ...first.clock, finality: 0, authority: 0 };
  return {
    clock,
    card: {
      cardId: stored.cardId,
      firstSeenAt: signedAt,
      cancelRequestedAt: undefined,
      registers: {
        ...(Object.fromEntries(set) as Card["registers"]),
        lastEvent: { value: true, clock },
      },
    },
    authorization: undefined,
  };
}

function statusIn(
  card: Card | undefined,
  events: readonly ToldEvent[],
): Status | null {
  if (card?.registers.cardStatus === undefined) return null;
  const { cardStatus: status, observedStatus: observed } = card.registers;
  const { eventId, at } = status.clock;
  const event = events.find((one) => one.eventId === eventId);
  return {
    card_status: status.value.status,
    status_reason: status.value.reason ?? null,
    status_changed_at: at,
    event_id: eventId,
    event_type: event?.eventType ?? null,
    received_at: event?.receivedAt ?? null,
    observed_status: observed?.value ?? null,
    observed_status_at: observed?.clock.at ?? null,
    status_contradicted: isContradicted(card),
  };
}

function tellEvent(
  { event, read, said }: Telling,
  chapterOf: ReadonlyMap<Statement, Chapter>,
): EventStory {
  const chapter = said && chapterOf.get(said);
  return {
    at: (said ?? read)?.clock.at ?? event.signedAt,
    event_id: event.eventId,
    event_type: event.eventType,
    signed_at: event.signedAt,
    received_at: event.receivedAt,
    state: event.state,
    attempts: event.attempts,
    last_error: event.lastError,
    processed_at: event.processedAt,
    issues: event.issues,
    note: noteOn(event, read),
    changes: chapter === undefined ? [] : changesIn(chapter),
    superseded: chapter === undefined ? [] : supersededIn(chapter),
  };
}

function noteOn(
  { body, state }: ToldEvent,
  read: Statement | undefined,
): Note | null {
  if (state === "ignored" || read !== undefined) return null;
  return body === null ? "body_dropped" : "unreadable";
}

/** What changes with every event and says nothing of the card. */
const NOT_TOLD: ReadonlySet<string> = new Set([
  "card_id",
  "transaction_id",
  "event_id",
  "first_seen_at",
  "received_at",
  "last_event_id",
  "last_event_at",
  "field_clocks",
]);

function changesIn({ before, after }: Chapter): ColumnChange[] {
  return (
    compareProjections(rowsOf(before), rowsOf(after))
      .filter(({ column }) => !NOT_TOLD.has(column))
      .map((change) => ({ ...change, from: change.from ?? null }))
      // A new row says nothing by a mark that it has not.
      .filter(({ from, to }) => !(from === null && to === false))
  );
}

function rowsOf({ card, authorization }: Known): ProjectionRows {
  return {
    cards: new Map(card && [[card.cardId, toCardRow(card)]]),
    authorizations: new Map(
      authorization && [
        [authorization.transactionId, toAuthorizationRow(authorization)],
      ],
    ),
  };
}

function supersededIn({ statement, superseded }: Chapter): SupersededColumn[] {
  const { cards, authorizations } = rowsOf(statement);
  const tables = { cards: [...cards], authorizations: [...authorizations] };
  return superseded.flatMap(({ of, field, by, because }) => {
    const table = of === "card" ? "cards" : "authorizations";
    const column = toColumn(field);
    return tables[table].map(([id, row]) => {
      const value = (row as unknown as Readonly<Record<string, unknown>>)[
        column
      ];
      return { table, id, column, value, by, because };
    });
  });
}

/** `cardStatus` is the column `card_status`: the register's value, or the first of several columns that it has. */
function toColumn(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function toQuarantined(record: QuarantineRecord): Quarantined {
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
