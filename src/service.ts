import type { Pool } from "pg";
import type { SchemaDifference } from "../db/migrate.ts";
import { createSchemaComparison } from "../db/migrate.ts";
import { createBatchLog } from "./process/batch-log.ts";
import type { Checkpoint } from "./process/checkpoint.ts";
import { noCheckpoint } from "./process/checkpoint.ts";
import type { Config } from "./config.ts";
import { CARD_EVENT_KINDS } from "./domain/card-event.ts";
import { adminRoutes } from "./http/admin-routes.ts";
import { createApp } from "./http/app.ts";
import { NotReadyError, healthRoutes } from "./http/health-routes.ts";
import { metricsRoute } from "./http/metrics-route.ts";
import type { ListeningServer } from "./http/server.ts";
import { listen } from "./http/server.ts";
import { webhookRoute } from "./http/webhook-route.ts";
import type { Logger } from "./process/logger.ts";
import type { Metrics } from "./metrics.ts";
import { createMetrics } from "./metrics.ts";
import type { Hints } from "./queue/hints.ts";
import { createHints } from "./queue/hints.ts";
import { createEventQueue } from "./queue/event-queue.ts";
import type { QueueConnection } from "./queue/queue-connection.ts";
import { createRateLimitedLog } from "./process/rate-limited-log.ts";
import type { WebhookReceiver } from "./receive-webhook.ts";
import { createWebhookReceiver } from "./receive-webhook.ts";
import type { Database, EventState } from "./store/database.ts";
import {
  EVENT_STATES,
  QUARANTINE_REASONS,
  createDatabase,
  createPool,
} from "./store/database.ts";
import { findOldestCopySeconds } from "./store/earlier-copies.ts";
import { describeError, isDataFault, isFullOrStuck } from "./store/errors.ts";
import { isReadOnly } from "./store/spent-connections.ts";
import { checkReceiverWrites } from "./store/write-checks.ts";
import { listEvents } from "./store/event-records.ts";
import type { InboxEntry, Recorded } from "./store/inbox.ts";
import {
  findCopies,
  findOldestWaitingSeconds,
  recordEvents,
} from "./store/inbox.ts";
import { countOpenQuarantine, quarantine } from "./store/quarantine.ts";
import { listQuarantine } from "./store/quarantine-records.ts";
import { unreadableFields } from "./uqpay/decode-event.ts";
import { readVersion } from "./process/version.ts";
import type { Trouble } from "./process/trouble.ts";
import { createTrouble } from "./process/trouble.ts";
import { within } from "./process/within.ts";
import { startWorker } from "./roles/worker.ts";

export interface Service {
  /** Where the webhook endpoint listens; the port that the system chose where 0 was configured. */
  readonly port: number;
  /** The port of `/metrics`, which is `port` unless OPS_PORT is set. */
  readonly opsPort: number;
  /** From now on it is not ready, and still serves. */
  readonly announceStop: () => void;
  /** Finishes what was begun, in the order in which it flows through the service. */
  readonly stop: () => Promise<void>;
}

/** A statement of the receiver takes about a millisecond; UQPAY's own patience is a matter of seconds. */
const RECEIVE_QUERY_TIMEOUT_MS = 5_000;

/** A balancer that sends nothing after a 503 must try again at some time: a delivery is the only way to find out. */
const STORING = { firstDelayMs: 0, maxDelayMs: 0, rememberedMs: 10_000 };

/** As long as the queue may take for one call. */
const HINTS_TIMEOUT_MS = 2_000;

/** Builds everything and starts the roles. The database must be migrated. */
export async function startService(
  config: Config,
  databaseUrl: string,
  log: Logger,
  checkpoint: Checkpoint = noCheckpoint,
): Promise<Service> {
  const connection = queueConnection(config, databaseUrl);
  const onPoolError = reporter(log, "database connection lost");
  const pool = createPool({
    url: databaseUrl,
    maxConnections: config.postgres.maxConnections,
    queryTimeoutMs: RECEIVE_QUERY_TIMEOUT_MS,
    applicationName: "uqpay-card-sync receiver",
    onError: onPoolError,
  });
  const db = createDatabase(pool);
  const version = readVersion();
  const metrics = createMetrics(
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
      kinds: CARD_EVENT_KINDS,
      reasons: QUARANTINE_REASONS,
      secrets: config.webhook.secrets.length,
      unreadableFields,
    },
  );
  const compareSchema = await createSchemaComparison();
  const queue = createEventQueue(connection, { log });
  const hints = createHints({
    enqueue: (hint) => queue.enqueue(hint),
    oldestWaitingAt: () => queue.oldestWaitingAt(),
    onLost: () => {
      metrics.hintFailed();
    },
  });
  const storing = createTrouble(STORING);
  const receiver = createReceiver({
    config,
    pool,
    storing,
    hints,
    metrics,
    log,
    checkpoint,
  });
  const worker =
    config.role === "api"
      ? undefined
      : startWorker({
          config,
          databaseUrl,
          connection,
          queue,
          metrics,
          log,
          onPoolError,
          checkpoint,
          compareSchema,
        });

  const lacksMigrations = () =>
    compareSchema(db).then(
      ({ pending }) => pending.length > 0,
      // A database that was never migrated has no list of its migrations either.
      isOfSchema,
    );
  let isStopping = false;
  const checks = {
    postgres: async () => {
      const isReceiver = config.role !== "worker";
      await Promise.all([
        isReceiver ? checkReceiverWrites(pool) : undefined,
        worker?.checkWrites(),
      ]).catch(async (error: unknown) => {
        // What a migration is still to bring is missing there, and not here.
        const isOfMigrations = isOfSchema(error) && (await lacksMigrations());
        if (!isOfMigrations) explainNotReady(error);
      });
      if (storing.lasts())
        throw new NotReadyError("deliveries could not be stored just now");
      return worker?.isInTrouble() === true ? EVENTS_WAIT : undefined;
    },
    queue: async () => {
      await queue.ping();
      return undefined;
    },
    migrations: async () => {
      const difference = await compareSchema(db);
      return judgeSchema(difference, worker === undefined);
    },
  };
  const onUnavailable = reporter(log, "delivery not stored");
  const health = healthRoutes(checks, version, () => isStopping);
  const webhook = webhookRoute({
    receive: receiver.receive,
    allowedAddresses: config.http.allowedAddresses,
    trustedProxies: config.http.trustedProxies,
    metrics,
    onRefused: createRefusalReporter(log),
    onUnavailable,
  });
  const ops = [metricsRoute(metrics), ...adminRoutesOf(config, db)];
  const hasOpsPort = config.http.opsPort !== undefined;
  const publicRoutes = [
    ...(config.role === "worker" ? [] : [webhook]),
    health,
    ...(hasOpsPort ? [] : ops),
  ];

  const servers: ListeningServer[] = [];
  const announceStop = () => {
    isStopping = true;
    for (const server of servers) server.drain();
  };
  const stop = async () => {
    announceStop();
    await Promise.all(servers.map((server) => server.close()));
    await receiver.drain();
    // A queue that is away takes its time-out for each job; what waits for it is found by the sweep of the next start.
    await within(HINTS_TIMEOUT_MS, hints.drain(), () => undefined);
    await worker?.stop();
    await queue.close();
    await pool.end();
  };

  try {
    const { host, port, opsPort, keepAliveMs } = config.http;
    const server = await listen(
      createApp(publicRoutes, onUnavailable),
      host,
      port,
      keepAliveMs,
    );
    servers.push(server);
    if (opsPort === undefined)
      return { port: server.port, opsPort: server.port, announceStop, stop };
    const opsServer = await listen(
      createApp([...ops, health], onUnavailable),
      host,
      opsPort,
      keepAliveMs,
    );
    servers.push(opsServer);
    return { port: server.port, opsPort: opsServer.port, announceStop, stop };
  } catch (error) {
    await stop();
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

interface ReceiverParts {
  readonly config: Config;
  readonly pool: Pool;
  readonly storing: Trouble;
  readonly hints: Hints;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly checkpoint: Checkpoint;
}

function createReceiver({
  config,
  pool,
  storing,
  hints,
  metrics,
  log,
  checkpoint,
}: ReceiverParts): WebhookReceiver {
  const db = createDatabase(pool);
  const recordedLog = createBatchLog((line) => {
    log.info(line, "events recorded");
  });
  const receiver = createWebhookReceiver({
    rules: config.webhook,
    nowMs: Date.now,
    onVerified: metrics.verified,
    record: async (entries) => {
      const results = await recordEvents(pool, entries).catch(
        (error: unknown) => {
          // Nothing was stored, and a new connection may lead to the server that took over.
          if (isReadOnly(error)) return recordEvents(pool, entries);
          if (isFullOrStuck(error)) storing.found();
          throw error;
        },
      );
      storing.isOver();
      tellRecorded(entries, results, log);
      checkpoint(
        "recorded",
        entries.map(({ eventId }) => eventId),
      );
      return results;
    },
    findCopies: (entries) => findCopies(pool, entries),
    onBatch: (results, durationMs) => {
      recordedLog.add(countResults(results), durationMs);
    },
    quarantine: async (entries) => {
      for (const { id, entry, deliveries } of await quarantine(db, entries)) {
        const { reason, eventId, cardId } = entry;
        log.warn(
          { reason, quarantineId: id, eventId, cardId, deliveries },
          "delivery quarantined",
        );
      }
    },
    onRefused: ({ eventId, cardId }, reason) => {
      log.warn({ reason, eventId, cardId }, "event refused");
    },
    onRecorded: (events) => {
      // The answers are written in this turn of the event loop, the hint is placed in the next one.
      setImmediate(() => {
        checkpoint(
          "answered",
          events.map(({ eventId }) => eventId),
        );
        hints.place(events);
      });
    },
    onUnreadable: metrics.unreadable,
    isItemFault: isDataFault,
  });
  const drain = async () => {
    await receiver.drain();
    recordedLog.flush();
  };
  return { ...receiver, drain };
}

function tellRecorded(
  entries: readonly InboxEntry[],
  results: readonly Recorded[],
  log: Logger,
): void {
  if (!log.isLevelEnabled("debug")) return;
  for (const [index, { eventId, cardId, state }] of entries.entries())
    if (results[index] === "recorded")
      log.debug({ eventId, cardId, state }, "event recorded");
}

function countResults(results: readonly Recorded[]) {
  const count = (kind: Recorded) =>
    results.filter((result) => result === kind).length;
  return {
    recorded: count("recorded"),
    duplicates: count("duplicate") + count("earlier"),
    conflicts: count("conflict"),
  };
}

const ADMIN_ROWS = 100;

function adminRoutesOf(config: Config, db: Database) {
  const { adminToken } = config.http;
  if (adminToken === undefined) return [];
  return [
    adminRoutes(adminToken, {
      events: ({ state, cardId }) =>
        listEvents(
          db,
          { state: knownState(state), cardId },
          ADMIN_ROWS,
          "newest",
        ),
      quarantine: async () =>
        (await listQuarantine(db, {}, ADMIN_ROWS, "newest")).map(
          ({
            id,
            reason,
            eventId,
            eventType,
            issues,
            deliveries,
            receivedAt,
          }) => ({
            id,
            reason,
            eventId,
            eventType,
            issues,
            deliveries,
            receivedAt,
          }),
        ),
    }),
  ];
}

function knownState(text: string | undefined): EventState | undefined {
  return EVENT_STATES.find((state) => state === text);
}

const EVENTS_WAIT = "events wait for a reason that is not theirs: see the log";

/** In few and constant words, since anybody may read them. @throws always */
function explainNotReady(error: unknown): never {
  const code = sqlStateOf(error);
  const reason = NOT_READY.find(([states]) => states.test(code))?.[1];
  throw reason === undefined ? error : new NotReadyError(reason);
}

function sqlStateOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

const MISSING = /^42(P01|703|883)$/;

function isOfSchema(error: unknown): boolean {
  return MISSING.test(sqlStateOf(error));
}

const NOT_READY: readonly (readonly [RegExp, string])[] = [
  [/^25006$/, "the server takes no writes"],
  [/^42501$/, "a right is missing"],
  [MISSING, "a table or a column is missing"],
];

/**
 * @param onlyRecords true: what a newer release has changed leaves the inbox as it is, so deliveries are taken in and wait
 * for that release
 * @throws NotReadyError when the work cannot be done
 */
function judgeSchema(
  { pending, unknown }: SchemaDifference,
  onlyRecords: boolean,
): string | undefined {
  if (pending.length > 0)
    throw new NotReadyError("the database lacks migrations of this release");
  if (unknown.length === 0) return undefined;
  const reason = "a newer release has migrated the database";
  if (onlyRecords) return reason;
  throw new NotReadyError(reason);
}

function createRefusalReporter(
  log: Logger,
): (outcome: string, cause?: string) => void {
  const limited = createRateLimitedLog(Date.now);
  return (outcome, cause) => {
    limited((suppressed) => {
      log.warn({ outcome, cause, suppressed }, "delivery refused");
    });
  };
}

/** While a database is down, everything fails at once: a few lines say it as well as thousands. */
function reporter(log: Logger, message: string): (error: unknown) => void {
  const limited = createRateLimitedLog(Date.now);
  return (error) => {
    limited((suppressed) => {
      log.error({ error: describeError(error), suppressed }, message);
    });
  };
}
