import { createSchemaComparison } from "../db/migrate.ts";
import type { Config } from "./config.ts";
import { COUNTED_KINDS } from "./domain/counted-kinds.ts";
import type { Metrics } from "./metrics.ts";
import { createMetrics } from "./metrics.ts";
import type { Checkpoint } from "./process/checkpoint.ts";
import { noCheckpoint } from "./process/checkpoint.ts";
import type { Logger } from "./process/logger.ts";
import { readVersion } from "./process/version.ts";
import { within } from "./process/within.ts";
import type { EventQueue } from "./queue/event-queue.ts";
import { createEventQueue } from "./queue/event-queue.ts";
import { createHints } from "./queue/hints.ts";
import type { QueueConnection } from "./queue/queue-connection.ts";
import { createWebhookReceiver } from "./receive-webhook.ts";
import { createErrorReporter } from "./roles/error-reporter.ts";
import type { Ports } from "./roles/ports.ts";
import { openPorts } from "./roles/ports.ts";
import { createReadinessChecks } from "./roles/readiness.ts";
import { startWorker } from "./roles/worker.ts";
import type { Database } from "./store/database.ts";
import {
  QUARANTINE_REASONS,
  createDatabase,
  createPool,
} from "./store/database.ts";
import { findOldestCopySeconds } from "./store/earlier-copies.ts";
import { findOldestWaitingSeconds } from "./store/waiting-events.ts";
import { countOpenQuarantine } from "./store/quarantine.ts";
import { unreadableFields } from "./uqpay/decode-event.ts";

export interface Service extends Omit<Ports, "close"> {
  /** Finishes what was begun, in the order in which it flows through the service. */
  readonly stop: () => Promise<void>;
}

/** A statement of the receiver takes about a millisecond; UQPAY's own patience is a matter of seconds. */
const RECEIVE_QUERY_TIMEOUT_MS = 5_000;
/** As long as the queue may take for one call. */
const HINTS_TIMEOUT_MS = 2_000;

/** Builds everything and starts the roles. The database must be migrated. */
export async function startService(
  config: Config,
  databaseUrl: string,
  log: Logger,
  checkpoint: Checkpoint = noCheckpoint,
): Promise<Service> {
  const version = readVersion();
  const compareSchema = await createSchemaComparison();
  const onPoolError = createErrorReporter(log, "database connection lost");
  const pool = createPool({
    url: databaseUrl,
    maxConnections: config.postgres.maxConnections,
    queryTimeoutMs: RECEIVE_QUERY_TIMEOUT_MS,
    applicationName: "uqpay-card-sync receiver",
    onError: onPoolError,
  });
  const db = createDatabase(pool);
  const metrics = metricsOf(db, config, version);
  const connection = queueConnection(config, databaseUrl);
  const queue = openQueue(connection, log);
  const hints = createHints({
    enqueue: queue.enqueue,
    onLost: metrics.hintFailed,
  });
  const shared = {
    ...{ config, databaseUrl, db, compareSchema, connection, queue },
    ...{ metrics, log, onPoolError, checkpoint, version },
  };
  const receiver = createWebhookReceiver({
    ...shared,
    rules: config.webhook,
    nowMs: Date.now,
    placeHints: hints.place,
  });
  const worker = config.role === "api" ? undefined : startWorker(shared);
  const checks = createReadinessChecks({ ...shared, receiver, worker });

  const stopBehindPorts = async () => {
    await receiver.drain();
    // A queue that is away takes its time-out for each job; what waits for it is found by the sweep of the next start.
    await within(hints.drain(), HINTS_TIMEOUT_MS, "hints").catch(
      () => undefined,
    );
    await worker?.stop();
    await queue.close();
    await pool.end();
  };
  try {
    const ports = await openPorts({ ...shared, receiver, checks });
    const stop = async () => {
      ports.announceStop();
      await ports.close();
      await stopBehindPorts();
    };
    return { ...ports, stop };
  } catch (error) {
    await stopBehindPorts();
    throw error;
  }
}

export function queueConnection(
  config: Config,
  databaseUrl: string,
): QueueConnection {
  const { redisUrl, prefix } = config.queue;
  return redisUrl === undefined
    ? { kind: "postgres", url: databaseUrl }
    : { kind: "redis", url: redisUrl, prefix };
}

function openQueue(connection: QueueConnection, log: Logger): EventQueue {
  const message = "connection of the queue failed";
  return createEventQueue(connection, {
    onError: createErrorReporter(log, message, "warn", 1),
    onEviction: (policy) => {
      log.warn(
        { policy, advice: "set maxmemory-policy to noeviction" },
        "Redis may forget hints when its memory is full, and their events then wait for the sweep",
      );
    },
  });
}

function metricsOf(db: Database, config: Config, version: string): Metrics {
  return createMetrics(
    {
      oldestWaitingSeconds: async () =>
        Math.max(
          await findOldestWaitingSeconds(db),
          await findOldestCopySeconds(db),
        ),
      openQuarantine: () => countOpenQuarantine(db),
    },
    {
      version,
      kinds: COUNTED_KINDS,
      reasons: QUARANTINE_REASONS,
      secrets: config.webhook.secrets.length,
      unreadableFields,
    },
  );
}
