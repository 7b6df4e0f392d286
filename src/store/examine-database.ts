import pg from "pg";
import { DatabaseRefusal } from "./explain-fault.ts";
import { connectionOf } from "./session.ts";

const OLDEST_VERSION = 14;
/** Also for a pooler, which may have no connection left. */
const PATIENCE_MS = 10_000;

/**
 * Finds what no statement of ours could mend, before any is sent.
 *
 * @throws DatabaseRefusal when the server, its encoding, a pooler or the place of the tables will not do
 * @throws what pg throws when there is no way in
 */
export async function examineDatabase(url: string): Promise<void> {
  await withClient(url, async (client) => {
    const { rows } = await client.query<Facts>(FACTS);
    const [facts] = rows;
    if (facts === undefined) throw new Error("the database told nothing");
    refuseServer(facts);
    // A pooler invents the number that it gives its client. So there is none where it is that of the process.
    if (facts.pid !== processIdOf(client))
      await refuseSharedSessions(client, url);
  });
}

interface Facts {
  readonly version: number;
  readonly encoding: string;
  readonly pid: number;
  /** Where tables of ours are that are not in schema public. */
  readonly elsewhere: string | null;
}

/** In the catalogue's full names: the search path is not ours yet. */
const FACTS = `
  select pg_catalog.current_setting('server_version_num')::pg_catalog.int4 as version,
         pg_catalog.current_setting('server_encoding') as encoding,
         pg_catalog.pg_backend_pid() as pid,
         (select pg_catalog.min(space.nspname::pg_catalog.text)
            from pg_catalog.pg_class as history
            join pg_catalog.pg_class as inbox on inbox.relname = 'webhook_events' and inbox.relkind = 'r'
            join pg_catalog.pg_namespace as space on space.oid = inbox.relnamespace
           where history.oid = pg_catalog.to_regclass('uqpay_card_sync_migrations.kysely_migration')
             and pg_catalog.to_regclass('public.webhook_events') is null) as elsewhere`;

function refuseServer({ version, encoding, elsewhere }: Facts): void {
  const major = Math.floor(version / 10_000);
  if (major < OLDEST_VERSION)
    throw new DatabaseRefusal(
      `PostgreSQL ${String(major)} is too old. Use PostgreSQL ${String(OLDEST_VERSION)} or newer.`,
    );
  if (encoding !== "UTF8")
    throw new DatabaseRefusal(
      `its encoding is ${encoding}, and names of merchants need UTF8. Create one with: create database … encoding 'UTF8' template template0.`,
    );
  if (elsewhere !== null)
    throw new DatabaseRefusal(
      `an earlier version put its tables into schema ${elsewhere}, and they belong into public. Move them: alter table ${pg.escapeIdentifier(elsewhere)}.webhook_events set schema public; so also quarantined_events, cards, authorizations, and alter view for mcc_declines.`,
    );
}

const TRANSACTION_POOLING = new DatabaseRefusal(
  "a pooler in transaction mode stands before it, which gives each transaction another session. Set pool_mode=session for this database at the pooler, or name PostgreSQL itself in DATABASE_URL.",
);

/**
 * A session of our own keeps its server process to itself. A pooler that takes its servers in turn
 * gives another one to the second statement, or, where it has only one, the same one to the second client.
 */
async function refuseSharedSessions(
  client: pg.Client,
  url: string,
): Promise<void> {
  const own = await readPid(client);
  if ((await readPid(client)) !== own) throw TRANSACTION_POOLING;
  await withClient(url, async (other) => {
    try {
      await other.query("begin");
    } catch (error) {
      // So says PgBouncer where not even a transaction has a session.
      if (String(error).includes("statement pooling"))
        throw TRANSACTION_POOLING;
      throw error;
    }
    const others = await readPid(other);
    if (others === own || (await readPid(client)) !== own)
      throw TRANSACTION_POOLING;
    await other.query("rollback");
  });
}

async function readPid(client: pg.Client): Promise<number | undefined> {
  const { rows } = await client.query<{ pid: number }>(
    "select pg_catalog.pg_backend_pid() as pid",
  );
  return rows[0]?.pid;
}

async function withClient(
  url: string,
  work: (client: pg.Client) => Promise<void>,
): Promise<void> {
  const client = new pg.Client({
    application_name: "uqpay-card-sync start",
    ...connectionOf(url),
    connectionTimeoutMillis: PATIENCE_MS,
    query_timeout: PATIENCE_MS,
  });
  // One that breaks between two statements: the next one fails with it.
  client.on("error", () => undefined);
  try {
    await client.connect();
    await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** What the server told at the beginning of the connection; pg's types leave it out. */
function processIdOf(client: pg.Client): unknown {
  return (client as unknown as { processID: unknown }).processID;
}
