import { hash } from "node:crypto";
import type { PostgresPool, PostgresPoolClient } from "kysely";
import type pg from "pg";

/**
 * Has each statement with parameters prepared, once on each connection: reading and planning them took PostgreSQL two
 * fifths of a small transaction's time. Their texts come from the code alone, so they are few. What `select *` gives is
 * fixed with it, and such a statement fails when a later release adds a column: name the columns.
 */
export function prepareStatements(pool: pg.Pool): PostgresPool {
  const names = new Map<string, string>();
  const nameOf = (text: string): string => {
    let name = names.get(text);
    if (name === undefined) {
      // By its text, since others may prepare theirs on the same connection.
      name = hash("sha256", text, "base64url");
      names.set(text, name);
    }
    return name;
  };
  return {
    connect: async () => {
      const client = await pool.connect();
      const query = (text: string, values: unknown[]) =>
        client.query(
          values.length === 0 ? text : { name: nameOf(text), text, values },
        );
      return {
        // Kysely's other form, with a cursor, needs a dialect that was given one.
        query: query as unknown as PostgresPoolClient["query"],
        release: () => {
          client.release();
        },
      };
    },
    end: () => pool.end(),
  };
}
