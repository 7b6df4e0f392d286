import pg from "pg";
import { describeError } from "./errors.ts";

/** A database that this service refuses. The message is one sentence or two: what is wrong, and what to do. */
export class DatabaseRefusal extends Error {
  constructor(message: string) {
    super(message);
    this.name = "DatabaseRefusal";
  }
}

/**
 * One sentence for a database that cannot be used, with what to do about it: the same at the start, for `migrate` and
 * for every command. It names what is configured (host, role, database, table), and neither a password nor data.
 *
 * @returns undefined for a fault that neither the database nor its configuration can put right
 */
export function explainDatabaseFault(error: unknown): string | undefined {
  if (error instanceof DatabaseRefusal)
    return `The database cannot be used: ${error.message}`;
  const newer = NEWER.exec(error instanceof Error ? error.message : "")?.[1];
  if (newer !== undefined)
    return `The database cannot be used: a newer release has migrated it (${newer}). Use that release, or restore a backup of before.`;
  const known = KNOWN.find(([matches]) => matches(error));
  if (known === undefined) return undefined;
  const [, advice, passes] = known;
  const now = passes === "passes" ? " now" : "";
  const what = describeError(error).replace(/\.$/, "");
  return `The database cannot be used${now}: ${what}. ${advice}`;
}

/** kysely's words for a migration that the database has seen and this release does not know. */
const NEWER =
  /^corrupted migrations: previously executed migration (\S+) is missing/;

type Known = readonly [
  matches: (error: unknown) => boolean,
  advice: string,
  passes?: "passes",
];

const PERCENT_ENCODED =
  "characters such as @ : / % in a user or a password are written percent-encoded (@ is %40)";
const CHECK_LOGIN = `Correct the user and the password in DATABASE_URL; ${PERCENT_ENCODED}.`;
const CHECK_HOST = `Correct the host and the port in DATABASE_URL, or let the server be reached; ${PERCENT_ENCODED}.`;
const MIGRATE = "Its schema is not that of this version: run `migrate` first.";
const READ_ONLY =
  "Name the primary in DATABASE_URL; here the server, or the setting default_transaction_read_only, allows reading only.";

/** The first that matches gives the advice. */
const KNOWN: readonly Known[] = [
  [
    state("28000", /no pg_hba\.conf entry.*(no encryption|SSL off)/),
    "Add sslmode=require to DATABASE_URL, or let the server's pg_hba.conf admit this login.",
  ],
  [
    state("28000", /no pg_hba\.conf entry/),
    "Let the server's pg_hba.conf admit this login from here.",
  ],
  [
    state("28000", /role .* does not exist/),
    "Create the role, or name another user in DATABASE_URL.",
  ],
  [state("28"), CHECK_LOGIN],
  [message(/^SASL: .*password must be/), CHECK_LOGIN],
  [message(/^SASL/), "The server's way to log in does not work with this one."],
  [state("3D000"), "Create the database, or name another in DATABASE_URL."],
  [
    state("42501"),
    "Give the login that right, or let a role that has it run `migrate` first: db/roles.sql has both roles.",
  ],
  [
    state("53300"),
    "Raise max_connections or the role's limit, or lower DATABASE_POOL_SIZE or the number of instances.",
    "passes",
  ],
  [state("53"), "The server has no room left.", "passes"],
  [state("57P03"), "Try again when it has started.", "passes"],
  [state("57P"), "Try again when it is up.", "passes"],
  [state("25006"), READ_ONLY],
  [
    state("08P01", /startup parameter/),
    "Take `options` out of DATABASE_URL and PGOPTIONS, or name them in the pooler's ignore_startup_parameters.",
  ],
  [
    state("08P01", /no such database/i),
    "Add the database to the pooler's configuration, or name another in DATABASE_URL.",
  ],
  [state("08"), CHECK_HOST, "passes"],
  [state("55P03"), "Another session holds a lock.", "passes"],
  [state("57014"), "It took too long; try again.", "passes"],
  [state("(42P01|42703|42883|3F000)"), MIGRATE],
  [
    state("(42P07|42710|42723)"),
    "Something else has this name in its schema: give the service a database of its own.",
  ],
  [
    system("ERR_TLS_CERT_ALTNAME_INVALID"),
    "Name the server in DATABASE_URL as its certificate does, or give sslmode=verify-ca and the authority's certificate in sslrootcert.",
  ],
  [
    system(
      "(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_.*|CERT_UNTRUSTED)",
    ),
    "Name the file with the authority's certificate: sslrootcert=/path/ca.pem in DATABASE_URL, or NODE_EXTRA_CA_CERTS=/path/ca.pem.",
  ],
  [
    system("(CERT_.*|ERR_TLS_.*|ERR_SSL_.*|ERR_OSSL_.*|EPROTO)"),
    "See to the certificate of the server, or to sslmode in DATABASE_URL.",
  ],
  [
    message(/^BullMQ: the PostgreSQL schema requires/),
    "Start the release that has migrated it, or a newer one.",
  ],
  [
    message(/does not support SSL connections/),
    "Write sslmode=disable in DATABASE_URL, or switch TLS on at the server.",
  ],
  [
    message(/establishing an SSL connection/),
    "See to sslmode in DATABASE_URL, and to whether that port is PostgreSQL's.",
  ],
  [
    system("ECONNREFUSED"),
    "Start PostgreSQL, or correct the host and the port in DATABASE_URL.",
    "passes",
  ],
  [
    (error) => system("(ENOENT|EACCES)")(error) && hasSyscall(error, "connect"),
    "`host` in DATABASE_URL is the folder of the socket of a running PostgreSQL, which this user may open.",
    "passes",
  ],
  [
    system("(ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE)"),
    CHECK_HOST,
    "passes",
  ],
  [system("ECONNRESET"), "Try again when it is up.", "passes"],
  [
    message(/^(Query read timeout|Connection terminated unexpectedly)/),
    "It did not answer in time, or ended the connection; try again.",
    "passes",
  ],
  [
    message(/^(Connection terminated|timeout e|Client (has|was))/),
    CHECK_HOST,
    "passes",
  ],
];

/** An SQLSTATE that begins so. */
function state(code: string, text = /(?:)/): (error: unknown) => boolean {
  const begins = new RegExp(`^${code}`);
  return (error) =>
    error instanceof pg.DatabaseError &&
    begins.test(error.code ?? "") &&
    text.test(error.message);
}

/** A whole error code of the system or of TLS. */
function system(code: string): (error: unknown) => boolean {
  const whole = new RegExp(`^${code}$`);
  return (error) =>
    error instanceof Error &&
    !(error instanceof pg.DatabaseError) &&
    "code" in error &&
    whole.test(String(error.code));
}

function message(text: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof Error &&
    !(error instanceof pg.DatabaseError) &&
    text.test(error.message);
}

function hasSyscall(error: unknown, name: string): boolean {
  return (error as { syscall?: unknown }).syscall === name;
}
