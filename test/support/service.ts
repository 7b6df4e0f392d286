import { randomUUID } from "node:crypto";
import pg from "pg";
import { loadConfig } from "../../src/config.ts";
import { createLogger } from "../../src/process/logger.ts";
import { startService } from "../../src/service.ts";
import type { TestDatabase } from "./database.ts";
import { createTestDatabase, hostile } from "./database.ts";
import { waitFor } from "./wait-for.ts";

export type QueueKind = "postgres" | "redis";

export const queueKinds: readonly QueueKind[] = ["postgres", "redis"];

/** Whether this run has a server for that queue; global-setup.js says loudly when it has no Redis. */
export function isAvailable(queue: QueueKind): boolean {
  return queue === "postgres" || process.env["TEST_REDIS_URL"] !== undefined;
}

export const SECRET = "whsec_test_secret";

/** Short times, so that what is found by waiting is found soon. */
export const QUICK: Readonly<Record<string, string>> = {
  PORT: "0",
  UQPAY_WEBHOOK_SECRET: SECRET,
  REQUEUE_PERIOD_MS: "300",
  EVENT_RETRY_DELAY_MS: "50",
  EVENT_MAX_ATTEMPTS: "3",
  LOG_LEVEL: "debug",
};

export type Row = Record<string, unknown>;

export interface TestService {
  readonly baseUrl: string;
  readonly port: number;
  readonly databaseUrl: string;
  /** Rows as PostgreSQL writes them: times and amounts as text. */
  readonly rows: (text: string, values?: readonly unknown[]) => Promise<Row[]>;
  /** Resolves when nothing waits to be applied any more: no event, and no copy that was signed earlier. */
  readonly untilApplied: (timeoutMs?: number) => Promise<void>;
  /** Everything that was logged so far. */
  readonly log: () => string;
  readonly stop: () => Promise<void>;
}

export interface TestServiceOptions {
  readonly queue: QueueKind;
  /** On top of `QUICK`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Shared with other services; by default one of its own, dropped at the end. */
  readonly database?: TestDatabase;
}

/** The real service in this process, on a database and a queue of its own. */
export async function startTestService(
  options: TestServiceOptions,
): Promise<TestService> {
  const database = options.database ?? (await createTestDatabase());
  const config = loadConfig({
    ...QUICK,
    ...(options.queue === "redis" && {
      REDIS_URL: process.env["TEST_REDIS_URL"],
      QUEUE_PREFIX: `test-${randomUUID()}`,
    }),
    ...options.env,
  });
  let logged = "";
  const log = createLogger(config.logLevel, {
    write: (line) => {
      logged += line;
    },
  });
  const service = await startService(config, hostile(database.url), log);
  const reader = openReader(database.url);
  return {
    baseUrl: `http://127.0.0.1:${service.port}`,
    port: service.port,
    databaseUrl: database.url,
    rows: reader.rows,
    untilApplied: (timeoutMs) => untilApplied(reader.rows, timeoutMs),
    log: () => logged,
    stop: async () => {
      await service.stop();
      await reader.close();
      if (options.database === undefined) await database.drop();
    },
  };
}

export interface Reader {
  readonly rows: TestService["rows"];
  readonly close: () => Promise<void>;
}

/** Reads a database as any user of the tables would, but with every value as text. */
export function openReader(databaseUrl: string, settings = ""): Reader {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: 2,
    options: `-c timezone=UTC ${settings}`,
    types: { getTypeParser: keepText },
  });
  // Its database may be dropped, or its server killed, by the test.
  pool.on("error", () => undefined);
  return {
    rows: async (text, values = []) =>
      (await pool.query<Row>(text, [...values])).rows,
    close: () => pool.end(),
  };
}

type TypeId = Parameters<typeof pg.types.getTypeParser>[0];

const READ_AS_TEXT: ReadonlySet<TypeId> = new Set([
  pg.types.builtins.TIMESTAMPTZ,
  pg.types.builtins.INT8,
  pg.types.builtins.NUMERIC,
]);

function keepText(oid: TypeId, format?: "text" | "binary") {
  if (READ_AS_TEXT.has(oid)) return (text: string) => text;
  return pg.types.getTypeParser(oid, format) as (text: string) => unknown;
}

/** How many of these events are in each state; `lost`: not in the inbox. */
export async function statesOf(
  { rows }: Pick<Reader, "rows">,
  eventIds: readonly string[],
): Promise<Record<string, number>> {
  const counts = await rows(
    `select coalesce(state, 'lost') as state, count(*)::int as count
     from unnest($1::text[]) as id left join webhook_events on event_id = id group by 1`,
    [eventIds],
  );
  return Object.fromEntries(
    counts.map((row) => [String(row["state"]), Number(row["count"])]),
  );
}

export async function untilApplied(
  rows: TestService["rows"],
  timeoutMs = 10_000,
): Promise<void> {
  await waitFor(
    async () => {
      const waiting = await rows(
        `select event_id from webhook_events where state = 'received'
         union all select event_id from earlier_copies where taken_at is null limit 1`,
      );
      return waiting.length === 0;
    },
    { what: "every event to be applied", timeoutMs },
  );
}
