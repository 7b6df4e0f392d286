import type { OwedAttempts, Reconciliation } from "../apply-events.ts";
import { reconcileEvents, takeBackOwedAttempts } from "../apply-events.ts";
import type { Config } from "../config.ts";
import { epochMsOf } from "../domain/instant.ts";
import type { Metrics } from "../metrics.ts";
import { applyEarlierCopies } from "../operate/earlier-copies.ts";
import { createBatcher } from "../process/batcher.ts";
import type { Checkpoint } from "../process/checkpoint.ts";
import type { Logger } from "../process/logger.ts";
import { createTrouble } from "../process/trouble.ts";
import type { EventQueue } from "../queue/event-queue.ts";
import type { Database } from "../store/database.ts";
import type { SchemaGuard } from "./schema-guard.ts";

export interface ApplierOptions {
  readonly db: Database;
  readonly retries: Config["queue"];
  readonly guard: Pick<SchemaGuard, "isOpen" | "look">;
  readonly queue: Pick<EventQueue, "enqueue">;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly checkpoint: Checkpoint;
  /** Ends it after the transaction under way. */
  readonly signal: AbortSignal;
}

/** Applies the events of jobs and of the sweep, one transaction at a time. */
export interface Applier {
  /** @throws what keeps events from being applied and is no fault of theirs: they wait on, and are found again */
  readonly apply: (
    eventIds: readonly string[],
    oneByOne: boolean,
  ) => Promise<void>;
  /** Takes back attempts that were counted and were no fault of their event. @throws when the database is away */
  readonly takeBackOwedAttempts: () => Promise<void>;
  /** Whether events wait for a reason that is not theirs. */
  readonly isInTrouble: () => boolean;
}

const MAX_RETRY_DELAY_MS = 60_000;
/** While nothing can be applied for a reason that lies around the events, it is tried again so often. */
const TROUBLE = { firstDelayMs: 100, maxDelayMs: 2_000, rememberedMs: 30_000 };
/** How many events may share a transaction: a larger one gains nothing and holds up Node.js. */
const MAX_EVENTS_TOGETHER = 500;

interface Job {
  readonly eventIds: readonly string[];
  readonly oneByOne: boolean;
}

export function createApplier(options: ApplierOptions): Applier {
  const { db, guard, signal, log } = options;
  const owed: OwedAttempts = new Map();
  const trouble = createTrouble(TROUBLE);
  const rules = reconcileOptions(options, owed);

  const applyNow = async ({ eventIds, oneByOne }: Job): Promise<void> => {
    if (!guard.isOpen()) throw new Error("the schema is not this release's");
    await trouble.pause(signal);
    const startedAt = performance.now();
    const outcome = await reconcileEvents(eventIds, rules, oneByOne).catch(
      (error: unknown) => {
        trouble.found();
        throw error;
      },
    );
    const count = outcome.reconciled.length;
    const durationMs = Math.round(performance.now() - startedAt);
    if (count > 0) log.info({ count, durationMs }, "events reconciled");
    report(outcome, options);
    retryLater(outcome, options);
    if (outcome.interruptedBy !== undefined) {
      trouble.found();
      throw outcome.interruptedBy;
    }
    if (count > 0) trouble.isOver();
    // Of those that did not wait any more a copy may have been signed before what they were applied with.
    if (count < eventIds.length && guard.isOpen())
      tellOfCopies(log, await applyEarlierCopies(db, eventIds));
  };

  // Jobs that come while a transaction is under way share the next one.
  const lane = createBatcher({
    flush: async (jobs: readonly Job[]) => {
      for (const work of workOf(jobs)) await applyNow(work);
      return jobs.map(() => undefined);
    },
    maxBatch: Infinity, // never more than the jobs that the worker takes at once
    maxWaiting: Infinity,
    isItemFault: () => false, // `reconcileEvents` looks for the event at fault itself
  });

  return {
    apply: (eventIds, oneByOne) => lane.add({ eventIds, oneByOne }),
    takeBackOwedAttempts: () => takeBackOwedAttempts({ db, owed }),
    isInTrouble: trouble.lasts,
  };
}

function reconcileOptions(options: ApplierOptions, owed: OwedAttempts) {
  const { db, retries, guard, checkpoint, signal } = options;
  return {
    db,
    retry: {
      maxAttempts: retries.maxAttempts,
      firstDelayMs: retries.firstRetryDelayMs,
      maxDelayMs: MAX_RETRY_DELAY_MS,
    },
    random: Math.random,
    checkpoint,
    isSchemaKnown: guard.look,
    owed,
    signal,
  };
}

/** What may go together, in transactions of a bounded size, then what must go alone. */
function workOf(jobs: readonly Job[]): Job[] {
  const together = jobs
    .filter(({ oneByOne }) => !oneByOne)
    .flatMap(({ eventIds }) => eventIds);
  const parts: Job[] = [];
  for (let at = 0; at < together.length; at += MAX_EVENTS_TOGETHER)
    parts.push({
      eventIds: together.slice(at, at + MAX_EVENTS_TOGETHER),
      oneByOne: false,
    });
  return [...parts, ...jobs.filter(({ oneByOne }) => oneByOne)];
}

export function tellOfCopies(log: Logger, count: number): void {
  if (count > 0)
    log.info({ count }, "events dated back to copies signed earlier");
}

/** One job for each event that failed; if the queue does not take it, the sweep finds the event when it is due. */
function retryLater(
  { failed }: Reconciliation,
  { queue, metrics }: ApplierOptions,
): void {
  for (const { eventId, retryInMs, counts } of failed) {
    if (retryInMs === undefined) continue;
    queue
      .enqueue({
        eventIds: [eventId],
        name: "retry",
        oneByOne: counts,
        delayMs: retryInMs,
      })
      .catch(metrics.hintFailed);
  }
}

function report(
  outcome: Reconciliation,
  { metrics, log }: ApplierOptions,
): void {
  const nowMs = Date.now();
  for (const one of outcome.reconciled) {
    const { eventId, cardId, kind, receivedAt, isUnknownDecline } = one;
    log.debug({ eventId, cardId, kind }, "event applied");
    metrics.reconciled(kind, Math.max(0, nowMs - epochMsOf(receivedAt)) / 1000);
    if (isUnknownDecline) metrics.unknownDecline();
  }
  for (const failure of outcome.failed) {
    const { eventId, error, retryInMs, counts } = failure;
    const cardId = failure.cardId ?? undefined;
    metrics.failedAttempt(retryInMs === undefined);
    if (retryInMs === undefined)
      log.error({ eventId, cardId, error }, "event given up");
    else if (counts)
      log.warn({ eventId, cardId, error, retryInMs }, "event failed");
    else
      log.error(
        { eventId, cardId, error, retryInMs },
        "event waits, through no fault of its own",
      );
  }
}
