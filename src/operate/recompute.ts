import type { Authorization } from "../domain/authorization.ts";
import { applyToAuthorization } from "../domain/authorization.ts";
import type { Card } from "../domain/card.ts";
import { applyToCard, dateCardBack } from "../domain/card.ts";
import type { AuthorizationReported, CardEvent } from "../domain/card-event.ts";
import type { Instant } from "../domain/instant.ts";
import type { Registers } from "../domain/registers.ts";
import { dateBack } from "../domain/registers.ts";
import {
  findReadableAuthorizations,
  findTransactionIdsOfCards,
  saveAuthorizations,
  toRow as toAuthorizationRow,
} from "../store/authorizations.ts";
import { findCards, saveCards, toRow as toCardRow } from "../store/cards.ts";
import type { Database, Transaction } from "../store/database.ts";
import type { EventRecord } from "../store/event-records.ts";
import {
  findAppliedEvents,
  findAppliedEventsAbout,
  findAppliedEventsReceivedAt,
  findEvents,
  pageCardIds,
} from "../store/event-records.ts";
import { lockProjection } from "../store/projection-lock.ts";
import { findCardsOfTransactions } from "../store/transaction-cards.ts";
import type { ColumnChange, ProjectionRows } from "../store/row-changes.ts";
import { compareProjections, readProjection } from "../store/row-changes.ts";
import { decodeKeptEvent } from "../uqpay/decode-event.ts";

/*
 * What the projection must be by the events in the inbox, independently of what it is. Only events that were
 * applied count. Where retention has dropped an event's body, what that event set is taken from the row: its
 * clock there names the event.
 */

export interface RecomputeProgress {
  readonly cardCount: number;
  readonly changes: readonly ColumnChange[];
  /** Events that were applied and whose body cannot be read any more: what they set is taken from the rows. */
  readonly unreadable: readonly string[];
}

/** A few megabytes of bodies at a time. */
const CARDS_AT_A_TIME = 200;

/** Compares each card and its authorizations with what the inbox says; `from` is the row, `to` what it must be. */
export async function* verifyProjection(
  db: Database,
  cardId?: string,
): AsyncGenerator<RecomputeProgress> {
  for await (const cardIds of pagesOfCards(db, cardId)) {
    yield await db
      .transaction()
      .setIsolationLevel("repeatable read")
      .setAccessMode("read only")
      .execute(async (trx) => {
        const { stored, recomputed, unreadable } = await recompute(
          trx,
          cardIds,
        );
        return {
          cardCount: cardIds.length,
          changes: compareProjections(stored, recomputed.rows),
          unreadable,
        };
      });
  }
}

/** Writes the rows that differ from what the inbox says. A row that no event explains is reported and left. */
export async function* rebuildProjection(
  db: Database,
  cardId?: string,
): AsyncGenerator<RecomputeProgress> {
  for await (const cardIds of pagesOfCards(db, cardId)) {
    yield await db.transaction().execute(async (trx) => {
      const { changes, unreadable } = await rebuildCards(trx, cardIds);
      return { cardCount: cardIds.length, changes, unreadable };
    });
  }
}

/** The same for a few cards, which are locked until the transaction ends. */
export async function rebuildCards(
  trx: Transaction,
  cardIds: readonly string[],
): Promise<Pick<RecomputeProgress, "changes" | "unreadable">> {
  const seen = await recompute(trx, cardIds);
  const locked = new Set(seen.recomputed.authorizations.keys());
  await lockProjection(trx, cardIds, [...locked]);
  // Again, under the lock: an event may have been applied in between.
  const { stored, recomputed, unreadable } = await recompute(trx, cardIds);
  const changes = compareProjections(stored, recomputed.rows);
  await writeChanged(trx, changes, recomputed, locked);
  return { changes, unreadable };
}

async function* pagesOfCards(
  db: Database,
  cardId?: string,
): AsyncGenerator<readonly string[]> {
  if (cardId !== undefined) {
    yield [cardId];
    return;
  }
  let after = "";
  for (;;) {
    const page = await pageCardIds(db, after, CARDS_AT_A_TIME);
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    after = last;
  }
}

interface Recomputed {
  readonly cards: ReadonlyMap<string, Card>;
  readonly authorizations: ReadonlyMap<string, Authorization>;
  readonly rows: ProjectionRows;
}

async function recompute(
  trx: Transaction,
  cardIds: readonly string[],
): Promise<{
  stored: ProjectionRows;
  recomputed: Recomputed;
  unreadable: readonly string[];
}> {
  const own = decodeAll(await findAppliedEvents(trx, cardIds));
  const { records, events } = own;
  const transactionIds = [
    ...new Set([
      ...events.filter(isAuthorization).map((event) => event.transactionId),
      ...(await findTransactionIdsOfCards(trx, cardIds)),
    ]),
  ];
  const storedCards = await findCards(trx, cardIds);
  const storedAuthorizations = await findReadableAuthorizations(
    trx,
    transactionIds,
  );

  const others = decodeAll(
    await findEventsOfOtherCards(
      trx,
      transactionIds,
      storedAuthorizations,
      records,
    ),
  );
  const withoutBody = signedTimes(
    [...records, ...others.records].filter(({ body }) => body === null),
  );
  const cards = foldCards(storedCards, records, events);
  const authorizations = foldAuthorizations(
    storedAuthorizations,
    [...events, ...others.events]
      .filter(isAuthorization)
      .filter(({ transactionId }) => transactionIds.includes(transactionId)),
    withoutBody,
  );
  return {
    stored: await readProjection(trx, cardIds, transactionIds),
    recomputed: { cards, authorizations, rows: toRows(cards, authorizations) },
    unreadable: own.unreadable,
  };
}

/**
 * A transaction may have been told of under another card's id, too. Its row names the events that still hold a field
 * of it and the time of the first one, which is all that there is of what an early build applied; where the row is gone,
 * only the bodies can tell.
 */
async function findEventsOfOtherCards(
  trx: Transaction,
  transactionIds: readonly string[],
  stored: readonly Authorization[],
  records: readonly EventRecord[],
): Promise<EventRecord[]> {
  const own = new Set(records.map(({ eventId }) => eventId));
  const firstTimes = new Set(records.map(({ receivedAt }) => receivedAt));
  const known = new Set(stored.map(({ transactionId }) => transactionId));

  const holders = stored
    .flatMap(({ registers }) => Object.values(registers))
    .map(({ clock }) => clock.eventId)
    .filter((eventId) => !own.has(eventId));
  const firsts = stored
    .map(({ receivedAt }) => receivedAt)
    .filter((time) => !firstTimes.has(time));
  const gone = transactionIds.filter((id) => !known.has(id));
  const cards = await findCardsOfTransactions(trx, transactionIds);

  const found = [
    ...(holders.length > 0 ? await findEvents(trx, [...new Set(holders)]) : []),
    ...(firsts.length > 0
      ? await findAppliedEventsReceivedAt(trx, firsts)
      : []),
    ...(gone.length > 0 ? await findAppliedEventsAbout(trx, gone) : []),
    ...(cards.length > 0 ? await findAppliedEvents(trx, cards) : []),
  ];
  return found.filter(({ eventId }) => !own.has(eventId));
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
    const decoded =
      record.state === "processed" ? decodeKept(record) : undefined;
    if (decoded === "unreadable") {
      unreadable.push(record.eventId);
      records.push({ ...record, body: null });
      continue;
    }
    records.push(record);
    if (decoded !== undefined) events.push(decoded);
  }
  return { records, events, unreadable };
}

function decodeKept(record: EventRecord): CardEvent | "unreadable" | undefined {
  if (record.body === null) return undefined;
  try {
    const decoded = decodeKeptEvent(record.body, record);
    if (decoded.kind === "known") return decoded.event;
    return decoded.kind === "unhandled" ? undefined : "unreadable";
  } catch (error) {
    // Somebody has edited the body: it is not even JSON.
    if (error instanceof SyntaxError) return "unreadable";
    throw error;
  }
}

function isAuthorization(event: CardEvent): event is AuthorizationReported {
  return event.kind === "authorization-reported";
}

/**
 * Where a body is gone, the fold begins with what the row has of it: the registers that it set, and the earliest
 * times, which name no event. Both may have to be dated back to a copy that was signed earlier. Where the row's clocks
 * are gone, too, nothing explains it, and only the row still has what that event said.
 */
function foldCards(
  stored: readonly Card[],
  records: readonly EventRecord[],
  events: readonly CardEvent[],
): ReadonlyMap<string, Card> {
  const dropped = records.filter(({ body }) => body === null);
  const cards = new Map<string, Card>();
  for (const card of stored) {
    const own = dropped.filter(({ cardId }) => cardId === card.cardId);
    if (own.length === 0) continue;
    const signedAtOf = signedTimes(own);
    const registers = registersSetBy(signedAtOf, card.registers);
    cards.set(card.cardId, dateCardBack({ ...card, registers }, signedAtOf));
  }
  const droppedCards = new Set(dropped.map(({ cardId }) => cardId));
  for (const event of events)
    cards.set(event.cardId, applyToCard(cards.get(event.cardId), event));
  for (const { cardId, registers } of stored)
    if (droppedCards.has(cardId) && hasLostClocks(registers))
      cards.delete(cardId);
  return cards;
}

function signedTimes(
  records: readonly EventRecord[],
): ReadonlyMap<string, Instant> {
  return new Map(records.map(({ eventId, signedAt }) => [eventId, signedAt]));
}

/** Every event sets this one. */
function hasLostClocks({
  lastEvent,
}: Registers<{ readonly lastEvent: true }>): boolean {
  return lastEvent === undefined;
}

function foldAuthorizations(
  stored: readonly Authorization[],
  events: readonly AuthorizationReported[],
  withoutBody: ReadonlyMap<string, Instant>,
): ReadonlyMap<string, Authorization> {
  const authorizations = new Map<string, Authorization>();
  if (withoutBody.size > 0) {
    for (const one of stored) {
      const registers = dateBack(
        registersSetBy(withoutBody, one.registers),
        withoutBody,
      );
      authorizations.set(one.transactionId, { ...one, registers });
    }
  }
  for (const event of events) {
    const known = authorizations.get(event.transactionId);
    authorizations.set(event.transactionId, applyToAuthorization(known, event));
  }
  if (withoutBody.size > 0)
    for (const { transactionId, registers } of stored)
      if (hasLostClocks(registers)) authorizations.delete(transactionId);
  return authorizations;
}

/** The part of a row that can only be taken on trust: the body of what set it is gone. */
function registersSetBy<Fields extends object>(
  events: ReadonlyMap<string, unknown>,
  registers: Registers<Fields>,
): Registers<Fields> {
  const entries = Object.entries(registers) as [
    string,
    { clock: { eventId: string } },
  ][];
  return Object.fromEntries(
    entries.filter(([, { clock }]) => events.has(clock.eventId)),
  ) as Registers<Fields>;
}

/** What no event explains has no row. */
function toRows(
  cards: ReadonlyMap<string, Card>,
  authorizations: ReadonlyMap<string, Authorization>,
): ProjectionRows {
  const explained = <
    Value extends { readonly registers: { readonly lastEvent?: unknown } },
  >(
    values: ReadonlyMap<string, Value>,
  ) =>
    [...values].filter(
      ([, { registers }]) => registers.lastEvent !== undefined,
    );
  return {
    cards: new Map(explained(cards).map(([id, card]) => [id, toCardRow(card)])),
    authorizations: new Map(
      explained(authorizations).map(([id, one]) => [
        id,
        toAuthorizationRow(one),
      ]),
    ),
  };
}

async function writeChanged(
  trx: Transaction,
  changes: readonly ColumnChange[],
  recomputed: Recomputed,
  lockedTransactions: ReadonlySet<string>,
): Promise<void> {
  const changed = (table: ColumnChange["table"]) =>
    new Set(
      changes.filter((change) => change.table === table).map(({ id }) => id),
    );
  const cards = changed("cards");
  const authorizations = changed("authorizations");
  await saveCards(
    trx,
    [...recomputed.cards.values()]
      .filter(({ cardId }) => cards.has(cardId))
      .map((after) => ({ before: undefined, after })),
  );
  await saveAuthorizations(
    trx,
    [...recomputed.authorizations.values()].filter(
      ({ transactionId }) =>
        authorizations.has(transactionId) &&
        recomputed.rows.authorizations.has(transactionId) &&
        lockedTransactions.has(transactionId),
    ),
  );
}
