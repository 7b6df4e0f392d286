import type { Checkpoint } from "./process/checkpoint.ts";
import { applyToAuthorization } from "./domain/authorization.ts";
import type { Authorization } from "./domain/authorization.ts";
import { applyToCard } from "./domain/card.ts";
import type { Card } from "./domain/card.ts";
import type { CardEvent } from "./domain/card-event.ts";
import { judgeDecline } from "./domain/mcc-decline.ts";
import {
  findAuthorizations,
  insertAuthorizations,
  saveAuthorizations,
} from "./store/authorizations.ts";
import type { CardChange } from "./store/cards.ts";
import { findCardClocks, saveCards } from "./store/cards.ts";
import type { Instant } from "./domain/instant.ts";
import type { Database, TransactionExecutor } from "./store/database.ts";
import {
  UndecodableEventError,
  isPassingFault,
  describeError,
  isDataFault,
} from "./store/errors.ts";
import type { Attempt, FailedAttempt, WaitingEvent } from "./store/inbox.ts";
import {
  beginAttempt,
  findNextAttempt,
  recordFailedAttempt,
  takeWaitingEvents,
} from "./store/inbox.ts";
import { lockProjection } from "./store/projection-lock.ts";
import { inTransaction } from "./store/transaction.ts";
import type { TransactionCard } from "./store/transaction-cards.ts";
import { saveTransactionCards } from "./store/transaction-cards.ts";
import type { Turns } from "./process/take-turns.ts";
import type { Decoded } from "./uqpay/decode-event.ts";
import { decodeKeptEvent } from "./uqpay/decode-event.ts";

/** How often an event is tried, and how long it waits between two tries. */
export interface RetryRules {
  readonly maxAttempts: number;
  /** Before the second attempt; doubles with each further one. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
}

/** An event that was applied now: what there is to tell of it, and no more, since it is held until the commit. */
export interface Reconciled {
  readonly eventId: string;
  readonly cardId: string;
  readonly kind: CardEvent["kind"];
  readonly receivedAt: Instant;
  /** A decline whose text is in none of the known categories. */
  readonly isUnknownDecline: boolean;
}

export interface Reconciliation {
  readonly reconciled: readonly Reconciled[];
  readonly failed: readonly FailedAttempt[];
  /** What ended it before all were tried, such as a database that went away: those that were not wait on. */
  readonly interruptedBy?: Error;
}

export interface ReconcileOptions {
  readonly db: Database;
  readonly retry: RetryRules;
  /** 0 to 1, for the jitter. */
  readonly random: () => number;
  readonly checkpoint: Checkpoint;
  /**
   * One for the process. What is tried with its attempt counted before is tried alone: else an event that ends the
   * process would use up the attempts of those beside it.
   */
  readonly turns: Turns;
  /** False: a newer release has migrated the database. Then what PostgreSQL refuses is no fault of an event. */
  readonly isSchemaKnown: () => Promise<boolean>;
  /** One for the process. */
  readonly owed: OwedAttempts;
  /** Ends the search for an event at fault after the transaction under way; what is left waits on, and is found again. */
  readonly signal: AbortSignal;
}

/**
 * Attempts that were counted before they were made, were no fault of their event, and could not be taken back since the
 * database had gone by then: from the event to the error.
 */
export type OwedAttempts = Map<string, string>;

/** How many events in one run may fail for no reason of theirs before the rest waits for a better moment. */
const MAX_UNEXPLAINED = 5;

/** One run over some events. */
interface Run extends ReconcileOptions {
  unexplained: number;
}

/**
 * 2. From events that wait to rows that are right.
 *
 * All in one transaction. If that fails, in halves, down to the event at fault: so that an event that cannot be
 * applied does not hold its neighbours, and costs them a few transactions instead of one each. What no data can cause
 * uses up no attempt; and when several events fail so, the fault is around them, and the others are left alone.
 *
 * @param oneByOne when an earlier run over these events did not come back
 * @throws when it was no event's fault (the database is away, or somebody holds its locks), or when not even a failure
 * could be recorded, and nothing came of it before: the events are found again
 */
export async function reconcileEvents(
  eventIds: readonly string[],
  options: ReconcileOptions,
  oneByOne = false,
): Promise<Reconciliation> {
  const run: Run = { ...options, unexplained: 0 };
  return oneByOne
    ? reconcileOneByOne(eventIds, run)
    : reconcileInHalves(eventIds, run);
}

async function reconcileInHalves(
  eventIds: readonly string[],
  run: Run,
): Promise<Reconciliation> {
  try {
    const reconciled = await reconcileTogetherTwice(eventIds, run);
    return { reconciled, failed: [] };
  } catch (error) {
    if (isPassingFault(error)) throw error;
    const [eventId, ...others] = eventIds;
    if (eventId !== undefined && others.length === 0)
      return recordFailure(error, eventId, run);
    // The error is not lost: the event that caused it will cause it again, alone.
  }
  if (run.signal.aborted) return { reconciled: [], failed: [] };
  const middle = Math.ceil(eventIds.length / 2);
  return reconcileInTurn(
    [eventIds.slice(0, middle), eventIds.slice(middle)],
    (half) => reconcileInHalves(half, run),
  );
}

/** What came of the earlier parts is told also when a later one throws. */
async function reconcileInTurn<Part>(
  parts: readonly Part[],
  reconcile: (part: Part) => Promise<Reconciliation>,
): Promise<Reconciliation> {
  const reconciled: Reconciled[] = [];
  const failed: FailedAttempt[] = [];
  for (const part of parts) {
    try {
      const outcome = await reconcile(part);
      reconciled.push(...outcome.reconciled);
      failed.push(...outcome.failed);
      if (outcome.interruptedBy !== undefined) throw outcome.interruptedBy;
    } catch (error) {
      if (reconciled.length + failed.length === 0) throw error;
      return { reconciled, failed, interruptedBy: error as Error };
    }
  }
  return { reconciled, failed };
}

/** A connection that was cut or a deadlock is over at once, as a rule: then nobody has to look for the events again. */
async function reconcileTogetherTwice(
  eventIds: readonly string[],
  options: ReconcileOptions,
): Promise<readonly Reconciled[]> {
  const reconcile = () =>
    options.turns.share(() => reconcileTogether(eventIds, options, true));
  try {
    return await reconcile();
  } catch (error) {
    if (!isPassingFault(error)) throw error;
    return reconcile();
  }
}

async function reconcileOneByOne(
  eventIds: readonly string[],
  run: Run,
): Promise<Reconciliation> {
  return reconcileInTurn(eventIds, async (eventId) =>
    run.signal.aborted
      ? { reconciled: [], failed: [] }
      : run.turns.takeAlone(() => reconcileAlone(eventId, run)),
  );
}

async function reconcileAlone(
  eventId: string,
  run: Run,
): Promise<Reconciliation> {
  await takeBackOwedAttempts(run);
  const attempt = await beginAttempt(
    run.db,
    eventId,
    run.retry.maxAttempts,
    ATTEMPT_LEASE_MS,
  );
  if (attempt === undefined) return { reconciled: [], failed: [] };
  if (attempt.givenUp !== undefined)
    return { reconciled: [], failed: [attempt.givenUp] };
  try {
    return {
      reconciled: await reconcileTogether([eventId], run, false),
      failed: [],
    };
  } catch (thrown) {
    const outcome = await recordFailure(thrown, eventId, run, attempt);
    if (isPassingFault(thrown)) throw thrown;
    return outcome;
  }
}

/**
 * After a try of this event alone.
 *
 * @param begun when its attempt was counted before it was made
 */
async function recordFailure(
  thrown: unknown,
  eventId: string,
  run: Run,
  begun?: Attempt,
): Promise<Reconciliation> {
  const attempt = begun ?? (await findNextAttempt(run.db, eventId));
  // Somebody else was faster.
  if (attempt === undefined) return { reconciled: [], failed: [] };
  const failed = await judge(thrown, eventId, attempt, run);
  try {
    await recordFailedAttempt(run.db, failed, begun !== undefined);
  } catch (error) {
    if (begun !== undefined && !failed.counts)
      run.owed.set(eventId, failed.error);
    throw error;
  }
  if (!failed.counts) run.unexplained++;
  return run.unexplained < MAX_UNEXPLAINED
    ? { reconciled: [], failed: [failed] }
    : { reconciled: [], failed: [failed], interruptedBy: thrown as Error };
}

/** Whose fault it was, and when the event is tried again. */
async function judge(
  thrown: unknown,
  eventId: string,
  attempt: Attempt,
  { retry, random, isSchemaKnown }: Run,
): Promise<FailedAttempt> {
  const error = describeError(thrown);
  const { cardId } = attempt;
  // In doubt the attempt is not lost: where the schema cannot be asked for, the database is gone.
  const counts =
    isDataFault(thrown) && (await isSchemaKnown().catch(() => false));
  if (counts) {
    const isLast = attempt.number >= retry.maxAttempts;
    const retryInMs = isLast
      ? undefined
      : delayAfter(attempt.number, retry, random);
    return { eventId, cardId, error, retryInMs, counts };
  }
  const retryInMs = isPassingFault(thrown)
    ? retry.firstDelayMs
    : delayInTrouble(attempt.waitedMs, retry, random);
  return { eventId, cardId, error, retryInMs, counts };
}

/** @throws when the database is still away; what it owes stays owed */
export async function takeBackOwedAttempts({
  db,
  owed,
}: Pick<ReconcileOptions, "db" | "owed">): Promise<void> {
  for (const [eventId, error] of owed) {
    // First, so that nobody takes it back a second time meanwhile.
    owed.delete(eventId);
    try {
      await recordFailedAttempt(
        db,
        { eventId, error, retryInMs: 0, counts: false },
        true,
      );
    } catch (thrown) {
      owed.set(eventId, error);
      throw thrown;
    }
  }
}

/** Longer than any attempt takes, and short enough that an event whose worker died is soon found again. */
const ATTEMPT_LEASE_MS = 10_000;

/** Exponential, with jitter on its upper half: retries of one moment do not come back in one moment. */
function delayAfter(
  attempt: number,
  retry: RetryRules,
  random: () => number,
): number {
  return withJitter(retry.firstDelayMs * 2 ** (attempt - 1), retry, random);
}

/** Without a count, by how long the trouble has lasted: it is over for the event at most half as late again. */
function delayInTrouble(
  waitedMs: number,
  retry: RetryRules,
  random: () => number,
): number {
  return withJitter(Math.max(retry.firstDelayMs, waitedMs / 2), retry, random);
}

function withJitter(
  fullMs: number,
  { maxDelayMs }: RetryRules,
  random: () => number,
): number {
  return Math.round(Math.min(fullMs, maxDelayMs) * (0.5 + random() / 2));
}

async function reconcileTogether(
  eventIds: readonly string[],
  { db, checkpoint }: ReconcileOptions,
  countAttempts: boolean,
): Promise<readonly Reconciled[]> {
  const reconciled = await inTransaction(db, async (trx) => {
    const work = startWork(
      trx,
      await takeWaitingEvents(trx, eventIds, countAttempts),
      checkpoint,
    );
    await work.done;
    const ids = work.reconciled.map(({ eventId }) => eventId);
    if (ids.length > 0) checkpoint("applied", ids);
    return work.reconciled;
  });
  checkpoint("committed", eventIds);
  return reconciled;
}

/**
 * Not asynchronous itself, so that it is over, and what it read can be collected, while PostgreSQL works: a collection
 * that finds two batches of 500 takes 6.6 ms instead of 8.5 ms.
 */
function startWork(
  trx: TransactionExecutor,
  waiting: readonly WaitingEvent[],
  checkpoint: Checkpoint,
): {
  readonly reconciled: readonly Reconciled[];
  readonly done: Promise<unknown>;
} {
  if (waiting.length === 0) return { reconciled: [], done: Promise.resolve() };
  const ids = waiting.map(({ eventId }) => eventId);
  checkpoint("applying", ids);
  const decoded = waiting.map((one) => ({
    event: decodeWaiting(one),
    receivedAt: one.receivedAt,
  }));
  const events = decoded.map(({ event }) => event);
  return {
    reconciled: decoded.map(({ event, receivedAt }) => tell(event, receivedAt)),
    done: applyToProjection(trx, events),
  };
}

function tell(event: CardEvent, receivedAt: Instant): Reconciled {
  const { eventId, cardId, kind } = event;
  const isUnknownDecline =
    kind === "authorization-reported" &&
    judgeDecline(event.fields.transactionStatus, event.fields.description)
      .category === "other";
  return { eventId, cardId, kind, receivedAt, isUnknownDecline };
}

function decodeWaiting(waiting: WaitingEvent): CardEvent {
  const decoded = decodeKept(waiting);
  if (decoded.kind === "known") return decoded.event;
  // It was well-formed when it was received, so the code has changed since: a person must look.
  const [issue] = decoded.kind === "malformed" ? decoded.issues : [];
  throw new UndecodableEventError(
    issue
      ? `no longer valid: ${issue.path} ${issue.message}`
      : "no longer of a type that has a handler",
  );
}

function decodeKept(waiting: WaitingEvent): Decoded {
  try {
    return decodeKeptEvent(waiting.body, waiting);
  } catch (error) {
    // Any other error is a mistake of ours, and no fault of the event.
    if (!(error instanceof SyntaxError)) throw error;
    throw new UndecodableEventError("no longer valid: the body is not JSON");
  }
}

/**
 * Applies events to the cards and authorizations that they are about; writes only what they change. What does not need
 * another's answer does not wait for it: PostgreSQL takes the locks before it reads, since it is asked in that order.
 */
export async function applyToProjection(
  trx: TransactionExecutor,
  events: readonly CardEvent[],
): Promise<unknown> {
  const cardIds = [...new Set(events.map(({ cardId }) => cardId))];
  const transactionIds = [...new Set(events.flatMap(transactionOf))];
  const [, cards, authorizations] = await Promise.all([
    lockProjection(trx, cardIds, transactionIds),
    findCardClocks(trx, cardIds),
    findAuthorizations(trx, transactionIds),
  ]);
  return saveChanges(
    trx,
    changedCards(cards, events),
    changedAuthorizations(authorizations, events),
    cardsOfShared(authorizations, events),
  );
}

async function saveChanges(
  trx: TransactionExecutor,
  cards: readonly CardChange[],
  authorizations: AuthorizationChanges,
  transactionCards: readonly TransactionCard[],
): Promise<unknown> {
  return Promise.all([
    saveTransactionCards(trx, transactionCards),
    saveCards(trx, cards),
    insertAuthorizations(trx, authorizations.added),
    saveAuthorizations(trx, authorizations.changed),
  ]);
}

function transactionOf(event: CardEvent): string[] {
  return event.kind === "authorization-reported" ? [event.transactionId] : [];
}

function changedCards(
  known: readonly Card[],
  events: readonly CardEvent[],
): CardChange[] {
  const before = new Map(known.map((card) => [card.cardId, card]));
  const after = new Map(before);
  for (const event of events)
    after.set(event.cardId, applyToCard(after.get(event.cardId), event));
  return [...after.values()]
    .map((card) => ({ before: before.get(card.cardId), after: card }))
    .filter((change) => change.after !== change.before);
}

/**
 * All cards of transactions that are told of under several. A row names only those whose events still hold a field of
 * it; when a copy that was signed earlier dates one of them back, the others must be found.
 */
function cardsOfShared(
  known: readonly Authorization[],
  events: readonly CardEvent[],
): TransactionCard[] {
  const firsts = new Map(
    known.map(({ transactionId, registers }) => [
      transactionId,
      registers.cardId?.value,
    ]),
  );
  const shared: TransactionCard[] = [];
  for (const event of events) {
    if (event.kind !== "authorization-reported") continue;
    const { transactionId, cardId } = event;
    const first = firsts.get(transactionId) ?? cardId;
    firsts.set(transactionId, first);
    if (first !== cardId)
      shared.push({ transactionId, cardId: first }, { transactionId, cardId });
  }
  return shared;
}

interface AuthorizationChanges {
  /** Nearly all: more comes only after a PENDING, which UQPAY's SDKs name and no page shows. */
  readonly added: readonly Authorization[];
  readonly changed: readonly Authorization[];
}

function changedAuthorizations(
  known: readonly Authorization[],
  events: readonly CardEvent[],
): AuthorizationChanges {
  const before = new Map(known.map((one) => [one.transactionId, one]));
  const after = new Map<string, Authorization>();
  for (const event of events) {
    if (event.kind !== "authorization-reported") continue;
    const { transactionId } = event;
    after.set(
      transactionId,
      applyToAuthorization(
        after.get(transactionId) ?? before.get(transactionId),
        event,
      ),
    );
  }
  const added: Authorization[] = [];
  const changed: Authorization[] = [];
  for (const [transactionId, one] of after) {
    const stored = before.get(transactionId);
    if (stored === undefined) added.push(one);
    else if (stored !== one) changed.push(one);
  }
  return { added, changed };
}
