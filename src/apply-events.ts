import type { CardEvent } from "./domain/card-event.ts";
import { countedKindOf } from "./domain/counted-kinds.ts";
import type { Instant } from "./domain/instant.ts";
import { judgeDecline } from "./domain/mcc-decline.ts";
import type { Checkpoint } from "./process/checkpoint.ts";
import type { RetryRules } from "./process/retry.ts";
import { delayAfter, delayInTrouble } from "./process/retry.ts";
import { PROJECTIONS } from "./projections/index.ts";
import type { Projection } from "./projections/projection.ts";
import type { Known } from "./projections/rows.ts";
import {
  fold,
  idOf,
  keysOf,
  readRow,
  statementsIn,
  toRow,
} from "./projections/rows.ts";
import { commitLazily, inTransaction } from "./store/database.ts";
import type { Database, Transaction } from "./store/database.ts";
import {
  UndecodableEventError,
  describeError,
  isDataFault,
  isPassingFault,
} from "./store/errors.ts";
import type {
  Attempt,
  FailedAttempt,
  WaitingEvent,
} from "./store/waiting-events.ts";
import {
  beginAttempt,
  findNextAttempt,
  recordFailedAttempt,
  takeWaitingEvents,
} from "./store/waiting-events.ts";
import { lockRows, selectRows, upsertRows } from "./store/projection-rows.ts";
import { dropBodies } from "./store/retention.ts";
import { noteEventsWithoutCard } from "./store/events-without-card.ts";
import { saveSharedTransactions } from "./store/shared-transactions.ts";
import type { Decoded } from "./uqpay/decode-event.ts";
import { decodeKeptEvent } from "./uqpay/decode-event.ts";

/** An event that was applied now: what there is to tell of it, and no more, since it is held until the commit. */
export interface Reconciled {
  readonly eventId: string;
  readonly cardId: string | undefined;
  /** See `countedKindOf`. */
  readonly kind: string;
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
  /** False: a newer release has migrated the database. Then what PostgreSQL refuses is no fault of an event. */
  readonly isSchemaKnown: () => Promise<boolean>;
  /** One for the process. */
  readonly owed: OwedAttempts;
  /** All that are kept, unless said otherwise. */
  readonly projections?: readonly Projection[];
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
  try {
    return await reconcileTogether(eventIds, options, true);
  } catch (error) {
    if (!isPassingFault(error)) throw error;
    return reconcileTogether(eventIds, options, true);
  }
}

async function reconcileOneByOne(
  eventIds: readonly string[],
  run: Run,
): Promise<Reconciliation> {
  return reconcileInTurn(eventIds, async (eventId) =>
    run.signal.aborted
      ? { reconciled: [], failed: [] }
      : reconcileAlone(eventId, run),
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

/** Takes, decodes, projects and marks, in one transaction. */
async function reconcileTogether(
  eventIds: readonly string[],
  { db, checkpoint, projections }: ReconcileOptions,
  countAttempts: boolean,
): Promise<readonly Reconciled[]> {
  const reconciled = await inTransaction(db, async (trx) => {
    await commitLazily(trx);
    const waiting = await takeWaitingEvents(trx, eventIds, countAttempts);
    if (waiting.length === 0) return [];
    const ids = waiting.map(({ eventId }) => eventId);
    checkpoint("applying", ids);
    const decoded = waiting.map(decodeWaiting);
    const events = decoded.map(({ event }) => event);
    await project(trx, events, projections);
    await dropBodies(
      trx,
      decoded.filter(({ isPersonal }) => isPersonal).map(idOfEvent),
    );
    checkpoint("applied", ids);
    return events.map(tell);
  });
  checkpoint("committed", eventIds);
  return reconciled;
}

function tell(event: CardEvent): Reconciled {
  const { eventId, cardId, receivedAt } = event;
  const kind = countedKindOf(event);
  const isUnknownDecline =
    event.kind === "transaction-reported" &&
    event.transactionKind === "authorization" &&
    judgeDecline(event.transaction).category === "other";
  return { eventId, cardId, kind, receivedAt, isUnknownDecline };
}

type KnownEvent = Extract<Decoded, { readonly kind: "known" }>;

function idOfEvent({ event }: KnownEvent): string {
  return event.eventId;
}

function decodeWaiting(waiting: WaitingEvent): KnownEvent {
  const decoded = decodeKeptEvent(waiting.body, waiting);
  switch (decoded.kind) {
    case "known":
      return decoded;
    // It was well-formed when it was received, so the code or the body has changed since: a person must look.
    case "unhandled":
      throw new UndecodableEventError("no longer of a type that has a handler");
    case "malformed":
      throw new UndecodableEventError(
        `no longer valid: ${decoded.issues
          .map(({ path, message }) => `${path} ${message}`)
          .slice(0, 1)
          .join()}`,
      );
    case "not-json":
      throw new UndecodableEventError("no longer valid: the body is not JSON");
  }
}

/** Folds events into the rows that they are about, under lock; writes only the rows that they change. */
export async function project(
  trx: Transaction,
  events: readonly CardEvent[],
  projections = PROJECTIONS,
): Promise<void> {
  const touched = projections.map((projection) => {
    const statements = statementsIn(projection, events);
    return { projection, statements, keys: keysOf(statements) };
  });
  await lockRows(trx, touched);
  for (const { projection, statements, keys } of touched) {
    const rows = await selectRows(trx, projection, keys);
    const before: Known = new Map(
      rows
        .map((row) => readRow(projection, row))
        .map((known) => [idOf(known.key), known]),
    );
    const after = fold(projection, before, statements);
    await saveSharedTransactions(trx, projection, before, statements);
    await noteEventsWithoutCard(trx, projection, events);
    const changed = [...after]
      .filter(([id, known]) => known !== before.get(id))
      .map(([id, known]) => {
        const row = toRow(projection, known);
        if (row === undefined)
          throw new Error(`${projection.table} ${id} lacks a required column`);
        return row;
      });
    await upsertRows(trx, projection, changed);
  }
}
