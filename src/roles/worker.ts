import { setTimeout as sleep } from "node:timers/promises";
import type { SchemaDifference } from "../../db/migrate.ts";
import {
  applyEarlierCopies,
  applyStalledCopies,
} from "../operate/earlier-copies.ts";
import { createBatchLog } from "../process/batch-log.ts";
import type { Checkpoint } from "../process/checkpoint.ts";
import type { Config } from "../config.ts";
import { epochMsOf } from "../domain/instant.ts";
import { createLanes } from "../process/lanes.ts";
import type { Logger } from "../process/logger.ts";
import type { Metrics } from "../metrics.ts";
import type { Periodic } from "../process/periodic.ts";
import { startPeriodic } from "../process/periodic.ts";
import { pruneBodies, retentionLimit } from "../operate/prune.ts";
import type { EventQueue } from "../queue/event-queue.ts";
import { createEventWorker } from "../queue/event-worker.ts";
import type { QueueConnection } from "../queue/queue-connection.ts";
import type { OwedAttempts, Reconciliation } from "../apply-events.ts";
import { reconcileEvents, takeBackOwedAttempts } from "../apply-events.ts";
import type { SchemaGuard } from "../process/schema-guard.ts";
import { startSchemaGuard } from "../process/schema-guard.ts";
import { requeueStalled } from "../sweep-stalled.ts";
import type { Database } from "../store/database.ts";
import { createDatabase, createPool } from "../store/database.ts";
import { describeError } from "../store/errors.ts";
import { takeStalledEvents } from "../store/inbox.ts";
import { dropOldBodies, dropResolvedBodies } from "../store/retention.ts";
import { checkWorkerWrites } from "../store/write-checks.ts";
import { createTrouble } from "../process/trouble.ts";
import { createTurns } from "../process/take-turns.ts";

export interface WorkerOptions {
  readonly compareSchema: (db: Database) => Promise<SchemaDifference>;
  readonly config: Config;
  readonly databaseUrl: string;
  readonly connection: QueueConnection;
  readonly queue: EventQueue;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly onPoolError: (error: unknown) => void;
  readonly checkpoint: Checkpoint;
}

/** The role `worker`: takes hints from the queue, and looks for events that have lost theirs. */
export interface Worker {
  /** @throws what keeps events from being applied: rights, tables, a server that takes no writes */
  readonly checkWrites: () => Promise<void>;
  /** Whether events wait for a reason that is not theirs. */
  readonly isInTrouble: () => boolean;
  readonly stop: () => Promise<void>;
}

/** A transaction over 200 events takes about 10 ms; one that waits for another's locks a few times that. */
const RECONCILE_QUERY_TIMEOUT_MS = 30_000;
/** Well below the above, so that a lock that somebody holds is told from a statement that is slow. */
const LOCK_TIMEOUT_MS = 10_000;
const MAX_RETRY_DELAY_MS = 60_000;
/** While nothing can be applied for a reason that lies around the events, a lane tries again so often. */
const TROUBLE = { firstDelayMs: 100, maxDelayMs: 2_000, rememberedMs: 30_000 };
/** Longer than a hint takes to be placed: an event that young has not lost its hint. */
const STALLED_GRACE_MS = 3_000;
/**
 * While PostgreSQL works on the transactions of some lanes, Node.js prepares that of another: two apply 1.4 times what
 * one does, and three a tenth more. Each holds a connection.
 */
const LANES = 3;
/**
 * A transaction costs by itself: at 500 events/s in lanes for any number PostgreSQL took 0.8 ms for an event, in one
 * lane 0.6. At half of the load the last one in a hundred was applied after 62 ms when 50 that waited were spread over
 * three lanes, and after 50 ms when 200 were over two.
 */
const EVENTS_PER_LANE = 200;
/**
 * How many events may share a transaction: one of 250 takes PostgreSQL a tenth more for each, and a larger one gains
 * nothing, but Node.js answers nobody while it prepares one (20 ms for so many).
 */
const MAX_EVENTS_TOGETHER = 500;

export function startWorker(options: WorkerOptions): Worker {
  const { config, connection, queue, metrics, log, checkpoint } = options;
  const pool = createPool({
    url: options.databaseUrl,
    maxConnections: config.postgres.maxConnections,
    queryTimeoutMs: RECONCILE_QUERY_TIMEOUT_MS,
    lockTimeoutMs: LOCK_TIMEOUT_MS,
    looksUpOnly: true,
    applicationName: "uqpay-card-sync worker",
    onError: options.onPoolError,
  });
  const db = createDatabase(pool);

  const stopping = new AbortController();
  const turns = createTurns();
  const owed: OwedAttempts = new Map();
  const trouble = createTrouble(TROUBLE);
  const reconciledLog = createBatchLog((line) => {
    log.info(line, "events reconciled");
  });
  const reconcile = async (
    eventIds: readonly string[],
    oneByOne: boolean,
  ): Promise<void> => {
    if (!guard.isOpen()) throw new Error("the schema is not this release's");
    await trouble.pause(stopping.signal);
    const startedAt = performance.now();
    const retry = {
      maxAttempts: config.queue.maxAttempts,
      firstDelayMs: config.queue.firstRetryDelayMs,
      maxDelayMs: MAX_RETRY_DELAY_MS,
    };
    const outcome = await reconcileEvents(
      eventIds,
      {
        db,
        retry,
        random: Math.random,
        checkpoint,
        turns,
        isSchemaKnown: guard.look,
        owed,
        signal: stopping.signal,
      },
      oneByOne,
    ).catch((error: unknown) => {
      trouble.found();
      throw error;
    });
    report(outcome, metrics, log);
    const count = outcome.reconciled.length;
    if (count > 0) reconciledLog.add({ count }, performance.now() - startedAt);
    retryLater(outcome, queue, metrics);
    if (outcome.interruptedBy !== undefined) {
      trouble.found();
      throw outcome.interruptedBy;
    }
    if (count > 0) trouble.isOver();
    // Those that did not wait any more: a copy may have been signed before what they were applied with.
    if (count < eventIds.length && guard.isOpen())
      tellOfCopies(await applyEarlierCopies(db, eventIds));
  };
  const tellOfCopies = (count: number) => {
    if (count > 0)
      log.info({ count }, "events dated back to copies signed earlier");
  };

  const addJob = createLanes({
    lanes: LANES,
    work: (eventIds) => reconcile(eventIds, false),
    maxTogether: MAX_EVENTS_TOGETHER,
    idsPerLane: EVENTS_PER_LANE,
  });

  const worker = createEventWorker(
    connection,
    ({ eventIds, partitions, oneByOne }) =>
      oneByOne ? reconcile(eventIds, true) : addJob(eventIds, partitions),
    { concurrency: config.queue.concurrency, log },
  );

  const guard = startSchemaGuard(
    () => options.compareSchema(db),
    (isOpen, difference) => {
      if (isOpen) {
        log.info("the schema is this release's again: events are applied");
        worker.resume();
      } else {
        log.error(
          difference,
          "the schema is not this release's: events wait for a release that knows it",
        );
        worker.pause();
      }
    },
  );

  const sweep = startPeriodic(config.queue.requeuePeriodMs, async (signal) => {
    if (!guard.isOpen()) return;
    try {
      await takeBackOwedAttempts({ db, owed });
      const counts = await requeueStalled({
        signal,
        oldestWaitingAt: () => queue.oldestWaitingAt(),
        takeStalled: (placedBefore, limit) =>
          takeStalledEvents(db, STALLED_GRACE_MS, placedBefore, limit),
        enqueue: (events, oneByOne) =>
          queue.enqueue({ events, name: "stalled", oneByOne }),
        reconcile,
      });
      metrics.requeued("requeued", counts.requeued);
      metrics.requeued("reconciled", counts.reconciled);
      if (counts.requeued + counts.reconciled > 0)
        log.warn(counts, "stalled events found");
      tellOfCopies(await applyStalledCopies(db, STALLED_GRACE_MS, signal));
    } catch (error) {
      // The database is away: nothing can be found, and the next sweep looks again.
      log.error(
        { error: describeError(error) },
        "search for stalled events failed",
      );
    }
  });

  const retention = startRetention(config, db, guard, log);

  return {
    checkWrites: () => checkWorkerWrites(pool),
    isInTrouble: trouble.lasts,
    stop: async () => {
      stopping.abort();
      await guard.stop();
      await worker.close();
      await sweep.stop();
      reconciledLog.flush();
      await retention?.stop();
      await takeBackOwedAttempts({ db, owed }).catch(() => undefined);
      await pool.end();
    },
  };
}

const RETENTION_PERIOD_MS = 60 * 60_000;
const RETENTION_PAUSE_MS = 250;

function startRetention(
  config: Config,
  db: Database,
  guard: SchemaGuard,
  log: Logger,
): Periodic | undefined {
  const { retentionDays } = config;
  if (retentionDays === undefined) return undefined;
  return startPeriodic(RETENTION_PERIOD_MS, async (signal) => {
    if (!guard.isOpen()) return;
    try {
      const counts = await pruneBodies(
        retentionLimit(retentionDays, Date.now()),
        {
          dropOldBodies: (before, limit) => dropOldBodies(db, before, limit),
          dropResolvedBodies: (before, limit) =>
            dropResolvedBodies(db, before, limit),
          signal,
          pause: () => sleep(RETENTION_PAUSE_MS),
        },
      );
      log.info(counts, "old bodies dropped");
    } catch (error) {
      log.error({ error: describeError(error) }, "retention failed");
    }
  });
}

/** One job for each event that failed; if the queue does not take it, the sweep finds the event when it is due. */
function retryLater(
  { failed }: Reconciliation,
  queue: EventQueue,
  metrics: Metrics,
): void {
  for (const { eventId, retryInMs, counts } of failed) {
    if (retryInMs === undefined) continue;
    queue
      .enqueue({
        events: [{ eventId }],
        name: "retry",
        oneByOne: counts,
        delayMs: retryInMs,
      })
      .catch(() => {
        metrics.hintFailed();
      });
  }
}

function report(outcome: Reconciliation, metrics: Metrics, log: Logger): void {
  const nowMs = Date.now();
  const isTold = log.isLevelEnabled("debug");
  for (const one of outcome.reconciled) {
    const { eventId, cardId, kind, receivedAt, isUnknownDecline } = one;
    if (isTold) log.debug({ eventId, cardId, kind }, "event applied");
    metrics.reconciled(kind, Math.max(0, nowMs - epochMsOf(receivedAt)) / 1000);
    if (isUnknownDecline) metrics.unknownDecline();
  }
  for (const { eventId, cardId, error, retryInMs, counts } of outcome.failed) {
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
