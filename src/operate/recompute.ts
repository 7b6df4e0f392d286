import type { CardEvent } from "../domain/card-event.ts";
import type { Instant } from "../domain/instant.ts";
import { textOf } from "../domain/json.ts";
import { PROJECTIONS } from "../projections/index.ts";
import type { EventEnvelope, Projection } from "../projections/projection.ts";
import type { KnownRow, Row } from "../projections/rows.ts";
import {
  dateBack,
  fold,
  idOf,
  isSharedByCards,
  keysOf,
  readRowIfPossible,
  statementsIn,
  toRow,
} from "../projections/rows.ts";
import type { Database, Transaction } from "../store/database.ts";
import { inTransaction } from "../store/database.ts";
import type { EventRecord } from "../store/event-records.ts";
import {
  findAppliedEvents,
  findEvents,
  pageCardIds,
} from "../store/event-records.ts";
import type { RowsOfTable } from "../store/events-without-card.ts";
import {
  findEventsWithoutCard,
  pageRowsWithoutCard,
} from "../store/events-without-card.ts";
import {
  findKeysOfCards,
  lockRows,
  upsertRows,
} from "../store/projection-rows.ts";
import { findCardsOfTransactions } from "../store/shared-transactions.ts";
import { decodeKeptEvent } from "../uqpay/decode-event.ts";
import { leavesCardAlone } from "../uqpay/event-types/index.ts";
import type { ColumnChange, Rows } from "./row-changes.ts";
import { compareRows, readTables } from "./row-changes.ts";

/*
 * What the projections must be by the events in the inbox, independently of what they are. Only events that were
 * applied count. Where retention has dropped an event's body, what that event set is taken from the row: its
 * clock there names the event.
 */

export interface RecomputeProgress {
  readonly cardCount: number;
  /** Rows that are about no card. */
  readonly rowsWithoutCard: number;
  readonly changes: readonly ColumnChange[];
  /** Events that were applied and whose body cannot be read any more: what they set is taken from the rows. */
  readonly unreadable: readonly string[];
}

/** What is computed together: all rows of some cards, and some rows of no card. */
export interface Scope {
  readonly cardIds: readonly string[];
  readonly rows: readonly RowsOfTable[];
}

/** A few megabytes of bodies at a time. */
const AT_A_TIME = 200;

/** Compares each row with what the inbox says; `from` is the row, `to` what it must be. */
export async function* verifyProjections(
  db: Database,
  cardId?: string,
  projections = PROJECTIONS,
): AsyncGenerator<RecomputeProgress> {
  for await (const scope of pagesOf(db, cardId, projections)) {
    yield await db
      .transaction()
      .setIsolationLevel("repeatable read")
      .setAccessMode("read only")
      .execute(async (trx) => {
        const { tables, unreadable } = await recompute(trx, scope, projections);
        const changes = tables.flatMap(changesOf);
        return { ...countsOf(scope), changes, unreadable };
      });
  }
}

/** Writes the rows that differ from what the inbox says. A row that no event explains is reported and left. */
export async function* rebuildProjections(
  db: Database,
  cardId?: string,
  projections = PROJECTIONS,
): AsyncGenerator<RecomputeProgress> {
  for await (const scope of pagesOf(db, cardId, projections)) {
    yield await inTransaction(db, async (trx) => {
      const rebuilt = await rebuildScope(trx, scope, projections);
      return { ...countsOf(scope), ...rebuilt };
    });
  }
}

function countsOf({ cardIds, rows }: Scope) {
  return {
    cardCount: cardIds.length,
    rowsWithoutCard: rows.flatMap(({ keys }) => keys).length,
  };
}

/** The same for a few cards and rows, which are locked until the transaction ends. */
export async function rebuildScope(
  trx: Transaction,
  scope: Scope,
  projections = PROJECTIONS,
): Promise<Pick<RecomputeProgress, "changes" | "unreadable">> {
  const seen = await recompute(trx, scope, projections);
  await lockRows(trx, seen.tables);
  // Again, under the lock: an event may have been applied in between.
  const { tables, unreadable } = await recompute(trx, scope, projections);
  for (const [at, table] of tables.entries()) {
    const locked = new Set(seen.tables[at]?.keys.map(idOf));
    const changed = new Set(changesOf(table).map(({ id }) => id));
    const rows = [...table.recomputed]
      .filter(([id]) => changed.has(id) && locked.has(id))
      .map(([, row]) => row);
    await upsertRows(trx, table.projection, rows);
  }
  return { changes: tables.flatMap(changesOf), unreadable };
}

/** One card, or all that there are and then all rows of no card. */
async function* pagesOf(
  db: Database,
  cardId: string | undefined,
  projections: readonly Projection[],
): AsyncGenerator<Scope> {
  if (cardId !== undefined) {
    yield { cardIds: [cardId], rows: [] };
    return;
  }
  const cards = pages<string>((after = "") =>
    pageCardIds(db, projections, after, AT_A_TIME),
  );
  for await (const cardIds of cards) yield { cardIds, rows: [] };
  for (const projection of projections.filter(isSharedByCards))
    for (const which of ["stored", "gone"] as const) {
      const ofTable = pages<readonly string[]>((after) =>
        pageRowsWithoutCard(db, projection, which, after, AT_A_TIME),
      );
      for await (const keys of ofTable)
        yield { cardIds: [], rows: [{ projection, keys }] };
    }
}

async function* pages<Item>(
  next: (after?: Item) => Promise<readonly Item[]>,
): AsyncGenerator<readonly Item[]> {
  for (let after: Item | undefined; ;) {
    const page = await next(after);
    if (page.length === 0) return;
    yield page;
    after = page.at(-1);
  }
}

/** The rows of one projection that are in scope, or must be there. */
interface Table extends RowsOfTable {
  readonly stored: Rows;
}

interface RecomputedTable extends Table {
  readonly recomputed: Rows;
}

function changesOf(table: RecomputedTable): ColumnChange[] {
  return compareRows(table.projection, table.stored, table.recomputed);
}

async function recompute(
  trx: Transaction,
  scope: Scope,
  projections: readonly Projection[],
): Promise<{
  tables: readonly RecomputedTable[];
  unreadable: readonly string[];
}> {
  const own = decodeAll([
    ...(await findAppliedEvents(trx, scope.cardIds)),
    ...(await findEvents(trx, await findEventsWithoutCard(trx, scope.rows))),
  ]);
  const tables: Table[] = [];
  for (const projection of projections)
    tables.push(await readTable(trx, projection, scope, own.events));
  const others = decodeAll(await findOtherEvents(trx, tables, own.records));
  const events = [...own.events, ...others.events];
  const dropped = [...own.records, ...others.records].filter(
    ({ body }) => body === null,
  );
  return {
    tables: tables.map((table) => ({
      ...table,
      recomputed: foldTable(table, events, dropped),
    })),
    unreadable: own.unreadable,
  };
}

async function readTable(
  trx: Transaction,
  projection: Projection,
  scope: Scope,
  events: readonly CardEvent[],
): Promise<Table> {
  const told = keysOf(statementsIn(projection, events));
  const listed = await findKeysOfCards(trx, projection, scope.cardIds);
  const named = scope.rows
    .filter((rows) => rows.projection === projection)
    .flatMap((rows) => rows.keys);
  const all = new Map(
    [...told, ...listed, ...named].map((key) => [idOf(key), key]),
  );
  const keys = [...all.values()];
  const read = await readTables(trx, [{ projection, keys }]);
  return {
    projection,
    keys,
    stored: read.get(projection) ?? new Map<string, Row>(),
  };
}

/**
 * A transaction or an order may have been told of under another card's id, too, or under none. Its row names its card and
 * the events that still hold a column of it; others are noted where they were applied.
 */
async function findOtherEvents(
  trx: Transaction,
  tables: readonly Table[],
  records: readonly EventRecord[],
): Promise<EventRecord[]> {
  const own = new Set(records.map(({ eventId }) => eventId));
  const ofMany = tables.filter(({ projection }) => isSharedByCards(projection));
  const holders = ofMany
    .flatMap(({ projection, stored }) =>
      [...stored.values()].map((row) => readRowIfPossible(projection, row)),
    )
    .flatMap((known) => Object.values(known?.registers ?? {}))
    .map(({ clock }) => clock.eventId)
    .filter((eventId) => !own.has(eventId));
  const noted = await findEventsWithoutCard(trx, ofMany);
  const ids = ofMany.flatMap(({ keys }) => keys.map(([id = ""]) => id));
  const ownCards = new Set(records.map(({ cardId }) => cardId));
  const cards = [
    ...(await findCardsOfTransactions(trx, ids)),
    ...ofMany.flatMap(({ stored }) => [...stored.values()].map(cardOf)),
  ]
    .filter((cardId) => cardId !== null)
    .filter((cardId) => !ownCards.has(cardId));
  const found = [
    ...(await findEvents(trx, [...new Set([...holders, ...noted])])),
    ...(await findAppliedEvents(trx, [...new Set(cards)])),
  ];
  const others = found.filter(({ eventId }) => !own.has(eventId));
  return [...new Map(others.map((one) => [one.eventId, one])).values()];
}

/** Null where the row is about no card. */
function cardOf(row: Row): string | null {
  return textOf(row["card_id"]) || null;
}

interface DecodedRecords {
  readonly records: readonly EventRecord[];
  readonly events: readonly CardEvent[];
  readonly unreadable: readonly string[];
}

/** A body that cannot be read is as one that was dropped: the others tell nothing less for it. */
function decodeAll(found: readonly EventRecord[]): DecodedRecords {
  const records: EventRecord[] = [];
  const events: CardEvent[] = [];
  const unreadable: string[] = [];
  for (const record of found) {
    const { body, state, eventId } = record;
    const decoded =
      body === null || state !== "processed"
        ? undefined
        : decodeKeptEvent(body, record);
    if (decoded?.kind === "known") events.push(decoded.event);
    const isUnreadable =
      decoded?.kind === "malformed" || decoded?.kind === "not-json";
    if (isUnreadable) unreadable.push(eventId);
    records.push(isUnreadable ? { ...record, body: null } : record);
  }
  return { records, events, unreadable };
}

/**
 * Where bodies are gone, the fold begins with what the rows have of them: the registers that those events set, dated
 * back where a copy was signed earlier. A row whose clocks are gone, too, is left out: only it still has what those
 * events said.
 */
function foldTable(
  { projection, keys, stored }: Table,
  events: readonly CardEvent[],
  dropped: readonly EventRecord[],
): Rows {
  const signedAtOf = new Map(
    dropped.map(({ eventId, signedAt }) => [eventId, signedAt]),
  );
  const droppedCards = new Set(dropped.map(({ cardId }) => cardId));
  const trusted = new Map<string, KnownRow>();
  const lost = new Set<string>();
  for (const [id, row] of stored) {
    const known = readRowIfPossible(projection, row);
    if (known !== undefined && toRow(projection, known) !== undefined)
      trusted.set(id, trustedPart(projection, known, signedAtOf));
    else if (droppedCards.has(cardOf(row))) lost.add(id);
  }
  const ids = new Set(keys.map(idOf));
  const statements = [
    ...statementsIn(projection, events),
    ...dropped.flatMap(
      (record) => projection.statementsOfEnvelope?.(envelopeOf(record)) ?? [],
    ),
  ].filter(({ key }) => ids.has(idOf(key)));
  const rows = new Map<string, Row>();
  for (const [id, known] of fold(projection, trusted, statements)) {
    const row = toRow(projection, known);
    if (row !== undefined && !lost.has(id)) rows.set(id, row);
  }
  return rows;
}

function envelopeOf(record: EventRecord): EventEnvelope {
  const { eventId, eventType, signedAt } = record;
  const cardId = leavesCardAlone(eventType) ? null : record.cardId;
  return { eventId, signedAt, cardId: cardId ?? undefined };
}

/** The part of a row that can only be taken on trust: the body of what set it is gone. */
function trustedPart(
  projection: Projection,
  { key, registers }: KnownRow,
  signedAtOf: ReadonlyMap<string, Instant>,
): KnownRow {
  const trusted = Object.fromEntries(
    Object.entries(registers).filter(([, { clock }]) =>
      signedAtOf.has(clock.eventId),
    ),
  );
  return { key, registers: dateBack(projection, trusted, signedAtOf) };
}
