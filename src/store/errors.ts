import pg from "pg";

/** The decoder cannot read a stored event: it will not be able to the next time either. */
export class UndecodableEventError extends Error {
  override readonly name = "UndecodableEventError";
}

/**
 * Whether the data is at fault: PostgreSQL refused it (SQLSTATE class 22, data exception; 23, integrity; 54, program
 * limit), or our decoder did. Nothing else uses up an attempt of an event: what the connection, the server, a right, a
 * lock or a mistake of ours causes may last for hours, and no event may be given up for it.
 */
export function isDataFault(error: unknown): boolean {
  return (
    error instanceof UndecodableEventError ||
    (error instanceof pg.DatabaseError && /^(22|23|54)/.test(error.code ?? ""))
  );
}

/**
 * SQLSTATE classes that say nothing about the statement: connection (08), a plan that is out of date (0A), a transaction
 * that is read-only or was ended (25), a statement that the session does not know (26), no way in (28, 3D), rollback
 * after a deadlock (40), a full disk or no connection left (53), a lock that is not to be had (55), shutdown (57P), the
 * system below (58). Not 53200: one event's statement may take all the memory.
 */
const STATES_OF_ALL = /^(08|0A|25|26|28|3D|40|53[^2]|55|57P|58)/;
/** How pg and its pool say that there is no connection, or none any more: plain errors without a code. */
const NO_CONNECTION =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed)/;

/**
 * Whether an error meets every event alike: the server is away, ends, takes no writes, has no room, or another session
 * has the locks. Then no event at fault is looked for. Of what is neither this nor a fault of the data (a statement
 * that takes too long, a right that is missing on one table, a mistake of ours) one event may be the cause: it must
 * neither hold its neighbours nor be given up.
 */
export function isPassingFault(error: unknown): boolean {
  if (error instanceof pg.DatabaseError)
    return STATES_OF_ALL.test(error.code ?? "");
  if (!(error instanceof Error)) return false;
  // A host name with several addresses, none of which answers.
  if (error instanceof AggregateError)
    return error.errors.every(isPassingFault);
  // Of the operating system: ECONNREFUSED, ECONNRESET, ENOTFOUND, ENOENT for a socket that is gone.
  return "syscall" in error || NO_CONNECTION.test(error.message);
}

/**
 * SQLSTATE classes whose messages quote names alone: connection (08), transaction state (25), authorization (28), names
 * of databases and schemas (3D, 3F), access and objects (42), resources (53), prerequisites (55), the operator (57), the
 * system below (58). Not a syntax error (42601), which quotes a piece of a statement.
 */
const NAMES_ONLY = /^(08|25|28|3D|3F|42(?!601)|53|55|57|58)/;

/**
 * What a statement without a row does not meet: no room (53100, 53200), a statement that takes too long (57014; ours to
 * pg), the system below (58), PostgreSQL itself (XX).
 */
export function isFullOrStuck(error: unknown): boolean {
  if (error instanceof pg.DatabaseError)
    return /^(53[12]00|57014|58|XX)/.test(error.code ?? "");
  return isQueryTimeout(error);
}

/** pg's own error for a statement that took longer than its `query_timeout`. */
export function isQueryTimeout(error: unknown): error is Error {
  return error instanceof Error && error.message === "Query read timeout";
}

/** What went wrong, for a row or a log line. Where PostgreSQL's message may quote a value, which may be personal: cut. */
export function describeError(error: unknown): string {
  if (error instanceof pg.DatabaseError) {
    const { code = "", message } = error;
    if (NAMES_ONLY.test(code))
      return `PostgreSQL ${code}: ${firstLine(message)}`;
    const where = [error.table, error.column, error.constraint]
      .filter(Boolean)
      .join(" ");
    const [what = ""] = message.split(/[":]/);
    return `PostgreSQL ${code}: ${what.trim()}${where && ` (${where})`}`;
  }
  // One that stands for several has no message of its own.
  if (error instanceof AggregateError)
    return error.errors.map(describeError).join("; ");
  // Quotes what it could not read.
  if (error instanceof SyntaxError) return error.name;
  return error instanceof Error ? firstLine(error.message) : "unknown error";
}

function firstLine(text: string): string {
  return text.split("\n", 1).join("").slice(0, 500);
}
