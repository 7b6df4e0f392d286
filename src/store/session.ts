import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";
import pg from "pg";
import type { DatabaseUrl } from "./database-url.ts";
import { parseDatabaseUrl } from "./database-url.ts";
import { DatabaseRefusal } from "./explain-fault.ts";

/** What differs between our sessions; all else is the same for each. */
export interface SessionSettings {
  /** Where names without a schema are looked up, besides PostgreSQL's own. */
  readonly schema: "public" | "bullmq";
  /** The longest that a statement may take. */
  readonly statementTimeoutMs: number;
  /** A statement that waits longer for a lock fails with 55P03; undefined: only the statement's own time ends it. */
  readonly lockTimeoutMs?: number | undefined;
  /** False: a commit does not wait for the disk. Only for what is found again when it is lost. */
  readonly waitsForDisk?: boolean;
  /** Settings of the planner. */
  readonly planner?: Readonly<Record<string, string>>;
}

/**
 * Everything that the code relies on in a session. The server, the database, the role, a pooler, PGOPTIONS and the URL
 * may all say otherwise. Set by statements and not at the connection's start, where poolers refuse it.
 *
 * Two settings stay the administrator's: whether the database is read-only, and a commit that waits for more than the
 * disk (remote_apply).
 */
export function sessionStatements(settings: SessionSettings): string {
  const { schema, statementTimeoutMs, lockTimeoutMs = 0, planner } = settings;
  const values = Object.entries({
    // Temporary tables last: one must not stand before a table of ours.
    search_path: `${schema}, pg_temp`,
    client_encoding: "UTF8",
    DateStyle: "ISO, YMD",
    IntervalStyle: "postgres",
    // Before a time zone had whole minutes its times cannot be written as ISO 8601; in UTC all can.
    TimeZone: "UTC",
    bytea_output: "hex",
    extra_float_digits: "1",
    standard_conforming_strings: "on",
    array_nulls: "on",
    transform_null_equals: "off",
    default_transaction_isolation: "read committed",
    default_transaction_deferrable: "off",
    lock_timeout: String(lockTimeoutMs),
    // A process that stands still inside a transaction must not hold its locks against all others.
    idle_in_transaction_session_timeout: "10s",
    // Pools keep idle connections, and a worker waits on one.
    idle_session_timeout: "0",
    // PostgreSQL 17. Each statement has its limit, and a migration has many.
    transaction_timeout: "0",
    exit_on_error: "off",
    // Compiling a statement of a millisecond takes a hundred.
    jit: "off",
    enable_indexscan: "on",
    enable_indexonlyscan: "on",
    ...planner,
  });
  const rows = values.map(
    ([name, value]) => `('${name}', ${pg.escapeLiteral(value)})`,
  );
  const synchronousCommit =
    settings.waitsForDisk === false
      ? "'off'"
      : `case when pg_catalog.current_setting('synchronous_commit') operator(pg_catalog.=) 'remote_apply'
           then 'remote_apply' else 'on' end`;
  // By full names, since the search path is not ours until then; the time-out first, since it may be too short for
  // the rest.
  return `
    select pg_catalog.set_config('statement_timeout', '${String(statementTimeoutMs)}', false);
    select pg_catalog.set_config('synchronous_commit', ${synchronousCommit}, false);
    select pg_catalog.set_config(name, value, false)
      from (values ${rows.join(", ")}) as settings (name, value)
     where pg_catalog.current_setting(name, true) is not null`;
}

/** What pg is told of where to connect. What is missing comes from PGHOST and the like. */
export interface Connection {
  readonly user?: string;
  readonly password?: string;
  readonly host?: string;
  readonly port?: number;
  readonly database?: string;
  readonly options?: string;
  readonly application_name?: string;
  readonly ssl?: boolean | ConnectionOptions;
}

/**
 * How pg connects to a database, from its URL.
 *
 * @throws DatabaseRefusal when a file that it names cannot be read
 * @throws Error when it is none
 */
export function connectionOf(url: string): Connection {
  const parsed = parseDatabaseUrl(url);
  const { user, password, port, database, parameters } = parsed;
  const options = parameters.get("options");
  const applicationName = parameters.get("application_name");
  const ssl = sslOf(parsed);
  const host = parsed.host ?? usualSocketFolder(port);
  return {
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    ...(database !== undefined && { database }),
    ...(options !== undefined && { options }),
    ...(applicationName !== undefined && { application_name: applicationName }),
    ...(ssl !== undefined && { ssl }),
  };
}

const SOCKET_FOLDERS = ["/var/run/postgresql", "/run/postgresql", "/tmp"];

/** Where psql looks when no host is said. @returns undefined when PGHOST says one, or when no server is there */
function usualSocketFolder(port: number | undefined): string | undefined {
  // pg's own defaults, which know the environment.
  const usual = new pg.Client(port === undefined ? {} : { port });
  if (usual.host !== pg.defaults.host) return undefined;
  return SOCKET_FOLDERS.find((folder) =>
    existsSync(join(folder, `.s.PGSQL.${String(usual.port)}`)),
  );
}

/**
 * `require` verifies as verify-full does, which psql's does not: encryption with an unknown server protects nothing.
 *
 * @returns undefined where the URL says nothing, so that PGSSLMODE counts
 */
function sslOf({ sslMode, parameters }: DatabaseUrl): Connection["ssl"] {
  const ca = parameters.get("sslrootcert");
  if (sslMode === "disable") return false;
  if (sslMode === undefined && ca === undefined) return undefined;
  const cert = readFile(parameters, "sslcert");
  const key = readFile(parameters, "sslkey");
  const passphrase = parameters.get("sslpassword");
  const files = {
    // "system" is psql's word for the authorities that the machine trusts.
    ...(ca !== "system" &&
      ca !== undefined && { ca: readFile(parameters, "sslrootcert") }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(passphrase !== undefined && { passphrase }),
  };
  // As other programs on pg are told to take psql's meaning.
  const isRequired =
    sslMode === "require" && parameters.get("uselibpqcompat") === "true";
  if (["allow", "prefer", "no-verify"].includes(sslMode ?? ""))
    return { ...files, rejectUnauthorized: false };
  if ((sslMode === "verify-ca" || isRequired) && "ca" in files)
    return { ...files, checkServerIdentity: () => undefined };
  if (isRequired) return { ...files, rejectUnauthorized: false };
  return files;
}

function readFile(
  parameters: ReadonlyMap<string, string>,
  name: string,
): string | undefined {
  const path = parameters.get(name);
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    throw new DatabaseRefusal(
      `the file that ${name} in DATABASE_URL names cannot be read (${code}). Correct its path or its rights.`,
    );
  }
}
