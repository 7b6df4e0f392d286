import pg from "pg";

/**
 * Whether PostgreSQL refused the data of a statement (SQLSTATE class 22, data exception; 23, integrity; 54,
 * program limit), and not the connection, the server or a lock: only then is one item of a batch at fault.
 */
export function isDataFault(error: unknown): boolean {
  return (
    error instanceof pg.DatabaseError && /^(22|23|54)/.test(error.code ?? "")
  );
}

/**
 * SQLSTATE classes: connection (08), rollback after a deadlock (40), resources (53), a lock that is not to be had (55),
 * shutdown (57P), the system below (58).
 */
const PASSING_STATES = /^(08|40|53|55|57P|58)/;
/** How pg and its pool say that there is no connection, or none any more: plain errors without a code. */
const NO_CONNECTION =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed)/;

/**
 * Whether an error says nothing about the statement: the server is away, ends, has no room, or another session has
 * the locks. Such a fault may last for hours, and no event may be given up for it. A query that takes too long is not
 * meant: its own data may be the reason.
 */
export function isPassingFault(error: unknown): boolean {
  if (error instanceof pg.DatabaseError)
    return PASSING_STATES.test(error.code ?? "");
  if (!(error instanceof Error)) return false;
  // A host name with several addresses, none of which answers.
  if (error instanceof AggregateError)
    return error.errors.every(isPassingFault);
  // Of the operating system: ECONNREFUSED, ECONNRESET, ENOENT for a socket that is gone.
  return "syscall" in error || NO_CONNECTION.test(error.message);
}

/**
 * SQLSTATE classes whose messages quote names alone: connection (08), transaction state (25), authorization (28), names
 * of databases and schemas (3D, 3F), access and objects (42), resources (53), prerequisites (55), the operator (57), the
 * system below (58). Not a syntax error (42601), which quotes a piece of a statement.
 */
const NAMES_ONLY = /^(08|25|28|3D|3F|42(?!601)|53|55|57|58)/;

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
  return error instanceof Error ? firstLine(error.message) : "unknown error";
}

function firstLine(text: string): string {
  return text.split("\n", 1).join("").slice(0, 500);
}
