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

/** What went wrong, for a row or a log line. PostgreSQL's messages quote values, which may be personal: cut. */
export function describeError(error: unknown): string {
  if (error instanceof pg.DatabaseError) {
    const where = [error.table, error.column, error.constraint]
      .filter(Boolean)
      .join(" ");
    const [what = ""] = error.message.split(/[":]/);
    return `PostgreSQL ${error.code ?? ""}: ${what.trim()}${where && ` (${where})`}`;
  }
  return error instanceof Error ? error.message.slice(0, 500) : "unknown error";
}
