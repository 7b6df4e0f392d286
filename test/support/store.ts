import type pg from "pg";
import { noCheckpoint } from "../../src/process/checkpoint.ts";
import type { Instant } from "../../src/domain/instant.ts";
import { instantFromEpochMs } from "../../src/domain/instant.ts";
import type { ReceiverOptions } from "../../src/receive-webhook.ts";
import type { ReconcileOptions } from "../../src/apply-events.ts";
import type { Database, PoolOptions } from "../../src/store/database.ts";
import { createDatabase, createPool } from "../../src/store/database.ts";
import type { InboxEntry } from "../../src/store/inbox.ts";
import { hostile } from "./database.ts";
import { sha256 } from "./deliveries.ts";
import type { Payload } from "./fixtures.ts";

/** A database as the service sees it. */
export interface TestStore {
  readonly pool: pg.Pool;
  readonly db: Database;
  /** Ends the pool. */
  readonly close: () => Promise<void>;
}

export function openStore(
  url: string,
  more: Partial<PoolOptions> = {},
): TestStore {
  const pool = createPool({
    url: hostile(url),
    maxConnections: 6,
    queryTimeoutMs: 60_000,
    applicationName: "test",
    onError: () => undefined,
    ...more,
  });
  const db = createDatabase(pool);
  return { pool, db, close: () => pool.end() };
}

/** What the receiver writes of an event. */
export function inboxEntryOf(
  event: Payload,
  signedAt: Instant = instantFromEpochMs(Date.now()),
): InboxEntry {
  return {
    eventId: event.event_id,
    eventType: event.event_type,
    eventName: event.event_name,
    version: event.version,
    sourceId: event.source_id,
    cardId: event.data["card_id"] as string | undefined,
    body: JSON.stringify(event),
    bodySha256: sha256(event),
    signedAt,
    state: "received",
    issues: [],
  };
}

/** A receiver that tells nobody; a test says whose secrets it knows. */
export function receiverOptions(db: Database): Omit<ReceiverOptions, "rules"> {
  const silent = () => undefined;
  return {
    db,
    nowMs: Date.now,
    placeHints: silent,
    metrics: { verified: silent, unreadable: silent },
    log: { debug: silent, info: silent, warn: silent },
    checkpoint: noCheckpoint,
  };
}

/** As in a worker's process, with jitter in the middle. Each call is a process of its own. */
export function reconcileOptions(
  db: Database,
  more: Partial<ReconcileOptions> = {},
): ReconcileOptions {
  return {
    db,
    retry: { maxAttempts: 3, firstDelayMs: 1_000, maxDelayMs: 60_000 },
    random: () => 0.5,
    checkpoint: noCheckpoint,
    isSchemaKnown: () => Promise.resolve(true),
    owed: new Map(),
    signal: new AbortController().signal,
    ...more,
  };
}
