import { Kysely, PostgresDialect, sql } from "kysely";
import type {
  ColumnType,
  Generated,
  Transaction as KyselyTransaction,
  PostgresPool,
  PostgresPoolClient,
} from "kysely";
import pg from "pg";
import type { Instant } from "../domain/instant.ts";
import type { Json } from "../domain/json.ts";
import { connectionOf, sessionStatements } from "./session.ts";
import { endSpentConnections } from "./spent-connections.ts";
import { isQueryTimeout } from "./errors.ts";
import { readTimestamptz } from "./timestamptz.ts";

export const EVENT_STATES = [
  "received",
  "processed",
  "ignored",
  "failed",
] as const;
export type EventState = (typeof EVENT_STATES)[number];
export const QUARANTINE_REASONS = [
  "invalid_json",
  "invalid_payload",
  "event_id_conflict",
  "stale_timestamp",
] as const;
export type QuarantineReason = (typeof QUARANTINE_REASONS)[number];

/** Instants come as text with microseconds, amounts as decimal text: see `createPool`. */
type Timestamp = ColumnType<Instant, Instant, Instant>;

export interface WebhookEventsTable {
  event_id: string;
  event_type: string;
  event_name: string | null;
  version: string | null;
  source_id: string | null;
  card_id: string | null;
  body: string | null;
  body_sha256: Buffer;
  signed_at: Timestamp;
  received_at: Generated<Instant>;
  state: EventState;
  attempts: Generated<number>;
  last_error: string | null;
  issues: Json;
  processed_at: Timestamp | null;
  hinted_at: Timestamp | null;
}

export interface QuarantinedEventsTable {
  id: Generated<string>;
  reason: QuarantineReason;
  event_id: string | null;
  event_type: string | null;
  card_id: string | null;
  issues: Json;
  body: Buffer | null;
  body_sha256: Buffer;
  signed_at: Timestamp | null;
  received_at: Generated<Instant>;
  last_received_at: Generated<Instant>;
  deliveries: Generated<number>;
  resolved_at: Timestamp | null;
  resolution: string | null;
}

export interface Tables {
  webhook_events: WebhookEventsTable;
  quarantined_events: QuarantinedEventsTable;
}

/** A transaction is one, too: what takes this may be asked by itself or within one. */
export type Database = Kysely<Tables>;
/** What holds locks takes one of these, so that it cannot be called outside of a transaction. */
export type Transaction = KyselyTransaction<Tables>;

export interface PoolOptions {
  readonly url: string;
  readonly maxConnections: number;
  /** A statement that takes longer fails and its connection ends, so that nothing waits for ever on a database that hangs. */
  readonly queryTimeoutMs: number;
  /** A statement that waits longer for a lock fails with 55P03; undefined: only `queryTimeoutMs` ends it. */
  readonly lockTimeoutMs?: number;
  /**
   * Worker sessions: no sequential scans, generic plans. A plan cached while a table was small must not scan it once it
   * has grown. Rows are met in the order of the index, so statements that lock several never wait in a circle.
   */
  readonly isWorkerSession?: boolean;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  /** Told of connections that broke while idle; without a listener they would end the process. */
  readonly onError: (error: Error) => void;
}

const STATEMENT_GRACE_MS = 1_000;

/** A pool whose rows carry `timestamptz` as `Instant` and `numeric` as decimal text. */
export function createPool(options: PoolOptions): pg.Pool {
  const settings = sessionStatements({
    schema: "public",
    // The caller has given up by then: the statement must not hold its locks any longer.
    statementTimeoutMs: options.queryTimeoutMs + STATEMENT_GRACE_MS,
    lockTimeoutMs: options.lockTimeoutMs,
    planner: {
      enable_seqscan: options.isWorkerSession === true ? "off" : "on",
      enable_bitmapscan: options.isWorkerSession === true ? "off" : "on",
      plan_cache_mode:
        options.isWorkerSession === true ? "force_generic_plan" : "auto",
    },
  });
  const pool = new pg.Pool({
    max: options.maxConnections,
    application_name: options.applicationName,
    ...connectionOf(options.url),
    connectionTimeoutMillis: 5_000,
    query_timeout: options.queryTimeoutMs,
    keepAlive: true,
    types: { getTypeParser },
    // eslint-disable-next-line @typescript-eslint/no-misused-promises -- pg-pool awaits it, its types do not say so
    onConnect: async (client) => {
      await client.query(settings);
    },
  });
  endSpentConnections(pool);
  pool.on("connect", (client) => {
    // A connection that breaks between two statements of a transaction: the next statement fails with it. Without a
    // listener it would end the process.
    client.on("error", () => undefined);
  });
  pool.on("error", (error) => {
    // A pool that ends hears of its own connections' end when the server stops right behind it.
    if (!pool.ending) options.onError(error);
  });
  return pool;
}

/** End the pool itself: Kysely's `destroy` leaves one open through which it never sent a statement. */
export function createDatabase(pool: pg.Pool): Database {
  return new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: withNamedStatements(pool) }),
  });
}

const NAME = /^\s*\/\* ([a-z-]+) \*\//;

/**
 * A statement whose text begins with a comment, such as `/* take-waiting-events *\/`, is prepared under that name: the
 * hot ones, which PostgreSQL then parses and plans once for each connection.
 */
function withNamedStatements(pool: pg.Pool): PostgresPool {
  return {
    connect: async () => {
      const client = await pool.connect();
      // After its time-out pg keeps the connection: what is sent next would wait behind that statement.
      let timeout: Error | undefined;
      const query = async (text: string, values: unknown[]) => {
        if (timeout !== undefined) throw timeout;
        try {
          const name = NAME.exec(text)?.[1];
          return await client.query(
            name === undefined ? { text, values } : { name, text, values },
          );
        } catch (error) {
          if (isQueryTimeout(error)) timeout = error;
          throw error;
        }
      };
      return {
        // Kysely's other form, with a cursor, needs a dialect that was given one.
        query: query as unknown as PostgresPoolClient["query"],
        release: () => {
          client.release(timeout);
        },
      };
    },
    end: () => pool.end(),
  };
}

type TypeId = Parameters<typeof pg.types.getTypeParser>[0];

/** The type's number in PostgreSQL's catalogue, the same in every installation. */
const TIMESTAMPTZ: TypeId = pg.types.builtins.TIMESTAMPTZ;

function getTypeParser(oid: TypeId, format?: "text" | "binary") {
  if (oid === TIMESTAMPTZ && format !== "binary") return readTimestamptz;
  return pg.types.getTypeParser(oid, format) as (text: string) => unknown;
}

/**
 * Commits what `work` did, or nothing of it.
 *
 * @throws what `work` threw, also where the connection is gone and the rollback fails, too
 */
export async function inTransaction<Result>(
  db: Database,
  work: (trx: Transaction) => Promise<Result>,
): Promise<Result> {
  let failure: Error | undefined;
  try {
    return await db.transaction().execute(async (trx) => {
      try {
        return await work(trx);
      } catch (error) {
        failure = error as Error;
        throw error;
      }
    });
  } catch (error) {
    throw failure ?? error;
  }
}

/**
 * The commit does not wait for the disk. A crash of PostgreSQL may take the last fraction of a second of these
 * transactions, each as a whole: the inbox then says that its events wait, and they are applied again.
 */
export async function commitLazily(trx: Transaction): Promise<void> {
  await sql`set local synchronous_commit = off`.execute(trx);
}
