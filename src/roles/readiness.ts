import type { SchemaDifference } from "../../db/migrate.ts";
import type { Config } from "../config.ts";
import type { HealthChecks } from "../http/ops-routes.ts";
import { NotReadyError } from "../http/ops-routes.ts";
import type { EventQueue } from "../queue/event-queue.ts";
import type { WebhookReceiver } from "../receive-webhook.ts";
import type { Database } from "../store/database.ts";
import { checkReceiverWrites } from "../store/write-checks.ts";
import type { Worker } from "./worker.ts";

export interface ReadinessOptions {
  readonly config: Pick<Config, "role">;
  readonly db: Database;
  readonly compareSchema: (db: Database) => Promise<SchemaDifference>;
  readonly queue: Pick<EventQueue, "ping">;
  readonly receiver: Pick<WebhookReceiver, "isInTrouble">;
  /** Undefined in a process that only receives. */
  readonly worker: Pick<Worker, "checkWrites" | "isInTrouble"> | undefined;
}

/** What `/readyz` asks: whether a delivery would be stored now, and whether this role's own work can be done. */
export function createReadinessChecks(options: ReadinessOptions): HealthChecks {
  const { db, compareSchema, queue, worker } = options;
  return {
    postgres: () => checkPostgres(options),
    queue: async () => {
      await queue.ping();
      return undefined;
    },
    migrations: async () =>
      judgeSchema(await compareSchema(db), worker === undefined),
  };
}

async function checkPostgres({
  config,
  db,
  compareSchema,
  receiver,
  worker,
}: ReadinessOptions): Promise<string | undefined> {
  try {
    await Promise.all([
      config.role === "worker" ? undefined : checkReceiverWrites(db),
      worker?.checkWrites(),
    ]);
  } catch (error) {
    // What a migration is still to bring is missing there, and is told by the check of the migrations.
    const isOfMigrations =
      isOfSchema(error) && (await lacksMigrations(db, compareSchema));
    if (!isOfMigrations) throw explain(error);
  }
  if (receiver.isInTrouble())
    throw new NotReadyError("deliveries could not be stored just now");
  return worker?.isInTrouble() === true
    ? "events wait for a reason that is not theirs: see the log"
    : undefined;
}

async function lacksMigrations(
  db: Database,
  compareSchema: ReadinessOptions["compareSchema"],
): Promise<boolean> {
  try {
    return (await compareSchema(db)).pending.length > 0;
  } catch (error) {
    // A database that was never migrated has no list of its migrations either.
    return isOfSchema(error);
  }
}

const MISSING = /^42(P01|703|883)$/;

/** Few and constant words: every client that reaches the port may read them. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/^25006$/, "the server takes no writes"],
  [/^42501$/, "a right is missing"],
  [MISSING, "a table or a column is missing"],
];

function explain(error: unknown): unknown {
  const code = sqlStateOf(error);
  const reason = REASONS.find(([states]) => states.test(code))?.[1];
  return reason === undefined ? error : new NotReadyError(reason);
}

function isOfSchema(error: unknown): boolean {
  return MISSING.test(sqlStateOf(error));
}

function sqlStateOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

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
