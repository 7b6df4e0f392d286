import type { SchemaDifference } from "../../db/migrate.ts";
import type { Config } from "../config.ts";
import type { Metrics } from "../metrics.ts";
import { applyStalledCopies } from "../operate/earlier-copies.ts";
import { pruneBodies, retentionLimit } from "../operate/prune.ts";
import type { Checkpoint } from "../process/checkpoint.ts";
import type { Logger } from "../process/logger.ts";
import type { Periodic } from "../process/periodic.ts";
import { startPeriodic } from "../process/periodic.ts";
import type { EventQueue } from "../queue/event-queue.ts";
import type { EventWorker } from "../queue/event-worker.ts";
import { createEventWorker } from "../queue/event-worker.ts";
import type { QueueConnection } from "../queue/queue-connection.ts";
import type { Database } from "../store/database.ts";
import { createDatabase, createPool } from "../store/database.ts";
import { describeError } from "../store/errors.ts";
import { checkWorkerWrites } from "../store/write-checks.ts";
import { STALLED_GRACE_MS, sweepStalled } from "../sweep-stalled.ts";
import type { Applier } from "./applier.ts";
import { createApplier, tellOfCopies } from "./applier.ts";
import { createErrorReporter } from "./error-reporter.ts";
import type { SchemaGuard } from "./schema-guard.ts";
import { startSchemaGuard } from "./schema-guard.ts";

export interface WorkerOptions {
  readonly config: Config;
  readonly databaseUrl: string;
  readonly connection: QueueConnection;
  readonly queue: EventQueue;
  readonly compareSchema: (db: Database) => Promise<SchemaDifference>;
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

/** A transaction takes some 10 ms; one that waits for another's locks a few times that. */
const QUERY_TIMEOUT_MS = 30_000;
/** Well below the above, so that a lock that is held is told from a statement that is slow. */
const LOCK_TIMEOUT_MS = 10_000;

export function startWorker(options: WorkerOptions): Worker {
  const { config, log } = options;
  const pool = createPool({
    url: options.databaseUrl,
    maxConnections: config.postgres.maxConnections,
    queryTimeoutMs: QUERY_TIMEOUT_MS,
    lockTimeoutMs: LOCK_TIMEOUT_MS,
    isWorkerSession: true,
    applicationName: "uqpay-card-sync worker",
    onError: options.onPoolError,
  });
  const db = createDatabase(pool);
  const stopping = new AbortController();
  const guard = startSchemaGuard(
    () => options.compareSchema(db),
    (isOpen, difference) => {
      followSchema(isOpen, difference, jobs, log);
    },
  );
  const applier = createApplier({
    ...options,
    db,
    retries: config.queue,
    guard,
    signal: stopping.signal,
  });
  const jobs = createEventWorker(
    options.connection,
    ({ eventIds, oneByOne }) => applier.apply(eventIds, oneByOne),
    {
      concurrency: config.queue.concurrency,
      onJobFailed: createErrorReporter(log, "job failed", "warn", 1),
      onError: createErrorReporter(
        log,
        "connection of the worker failed",
        "warn",
        1,
      ),
    },
  );
  const sweep = startSweep(options, db, guard, applier);
  const retention = startRetention(config, db, guard, log);

  return {
    checkWrites: () => checkWorkerWrites(db),
    isInTrouble: applier.isInTrouble,
    stop: async () => {
      stopping.abort();
      await guard.stop();
      await jobs.close();
      await sweep.stop();
      await retention?.stop();
      await applier.takeBackOwedAttempts().catch(() => undefined);
      await pool.end();
    },
  };
}

function followSchema(
  isOpen: boolean,
  difference: SchemaDifference,
  jobs: EventWorker,
  log: Logger,
): void {
  if (isOpen) {
    log.info("the schema is this release's again: events are applied");
    jobs.resume();
  } else {
    log.error(
      difference,
      "the schema is not this release's: events wait for a release that knows it",
    );
    jobs.pause();
  }
}

function startSweep(
  { config, queue, metrics, log }: WorkerOptions,
  db: Database,
  guard: SchemaGuard,
  applier: Applier,
): Periodic {
  return startPeriodic(config.queue.requeuePeriodMs, async (signal) => {
    if (!guard.isOpen()) return;
    try {
      await applier.takeBackOwedAttempts();
      const counts = await sweepStalled({
        db,
        queue,
        apply: applier.apply,
        signal,
      });
      metrics.requeued("requeued", counts.requeued);
      metrics.requeued("reconciled", counts.reconciled);
      if (counts.requeued + counts.reconciled > 0)
        log.warn(counts, "stalled events found");
      tellOfCopies(log, await applyStalledCopies(db, STALLED_GRACE_MS, signal));
    } catch (error) {
      // The database is away: nothing can be found, and the next sweep looks again.
      log.error(
        { error: describeError(error) },
        "search for stalled events failed",
      );
    }
  });
}

const RETENTION_PERIOD_MS = 60 * 60_000;
const RETENTION_PAUSE_MS = 250;

function startRetention(
  { retentionDays }: Config,
  db: Database,
  guard: SchemaGuard,
  log: Logger,
): Periodic | undefined {
  if (retentionDays === undefined) return undefined;
  return startPeriodic(RETENTION_PERIOD_MS, async (signal) => {
    if (!guard.isOpen()) return;
    try {
      const before = retentionLimit(retentionDays, Date.now());
      const counts = await pruneBodies(db, before, {
        signal,
        pauseMs: RETENTION_PAUSE_MS,
      });
      log.info(counts, "old bodies dropped");
    } catch (error) {
      log.error({ error: describeError(error) }, "retention failed");
    }
  });
}
