import {
  LATEST_SCHEMA_VERSION,
  SchemaMigrationRequiredError,
  assertSchemaCompatibility,
  runMigrations,
} from "bullmq";
import pg from "pg";
import { connectionOf, sessionStatements } from "../store/session.ts";

/** Where the queue lives. Nothing above `queue/` looks inside. */
export type QueueConnection =
  | { readonly kind: "redis"; readonly url: string; readonly prefix: string }
  | { readonly kind: "postgres"; readonly url: string };

/** The one queue of the service, on either backend. */
export const QUEUE_NAME = "uqpay-events";

/** Schema of BullMQ's own tables in the service's database. */
export const QUEUE_SCHEMA = "bullmq";

/** Migrations wait here for each other (advisory lock); a fresh schema takes about 0.2 s. */
const MIGRATION_TIMEOUT_MS = 60_000;

/**
 * Applies BullMQ's own schema migrations; a no-op for Redis. Safe with many
 * instances at once: BullMQ takes an advisory lock, and all of it is one
 * transaction.
 *
 * @param lockTimeoutMs a lock that is not had in this time ends it with 55P03
 */
export async function migrateQueue(
  connection: QueueConnection,
  lockTimeoutMs?: number,
): Promise<void> {
  if (connection.kind === "redis") return;

  const client = new pg.Client({
    application_name: "uqpay-queue-migrations",
    ...connectionOf(connection.url),
    connectionTimeoutMillis: 10_000,
    query_timeout: MIGRATION_TIMEOUT_MS,
  });
  // A lost connection also rejects the running query; without a listener the
  // event alone would end the process.
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query(
      sessionStatements({
        schema: QUEUE_SCHEMA,
        statementTimeoutMs: MIGRATION_TIMEOUT_MS,
        lockTimeoutMs,
      }),
    );
    if ((await appliedVersion(client)) < LATEST_SCHEMA_VERSION) {
      await runMigrations(client, QUEUE_SCHEMA);
    }
  } finally {
    await client.end();
  }
}

/** BullMQ's migrator asks for the right to create and alter even when nothing is pending; the service runs without it. */
async function appliedVersion(client: pg.Client): Promise<number> {
  try {
    return await assertSchemaCompatibility(client, QUEUE_SCHEMA);
  } catch (error) {
    if (error instanceof SchemaMigrationRequiredError) return 0;
    throw error;
  }
}
