import { sql } from "kysely";
import { arrayLiteral, textArray } from "./array-parameter.ts";
import { compileOnce } from "./compile-once.ts";
import type { TransactionExecutor } from "./database.ts";

/** The SQL types of the columns of the projection. */
export type ColumnType =
  "text" | "timestamptz" | "numeric" | "boolean" | "jsonb" | "text[]";

export function columnsOf<Column extends string>(
  columns: Readonly<Record<Column, ColumnType>>,
): Column[] {
  return Object.keys(columns) as Column[];
}

/** Writes whole rows in one statement, however many: new ones are inserted, known ones replaced. */
export type Upsert<Row> = (
  trx: TransactionExecutor,
  rows: readonly Row[],
) => Promise<unknown>;

/**
 * The upsert of a table: one array of texts for each column, which PostgreSQL casts: one JSON for all took it twice as
 * long to read (31 us a card of 62).
 *
 * @param columns the SQL type of each column that the rows have
 */
export function upsertOf<Row extends object>(
  table: "cards" | "authorizations",
  key: keyof Row & string,
  columns: Readonly<Record<keyof Row & string, ColumnType>>,
): Upsert<Row> {
  const names = columnsOf(columns);
  const replaced = names.filter((name) => name !== key);
  const write = compileOnce(
    (db, ...arrays: readonly Buffer[]) =>
      sql`
    insert into ${sql.table(table)} (${sql.join(names.map((name) => sql.ref(name)))})
    select ${sql.join(names.map((name) => sql`${sql.ref(name)}::${sql.raw(columns[name])}`))}
    from unnest(${sql.join(arrays.map((array) => sql`${array}::text[]`))})
      as row(${sql.join(names.map((name) => sql.ref(name)))})
    on conflict (${sql.ref(key)}) do update
    set ${sql.join(replaced.map((name) => sql`${sql.ref(name)} = excluded.${sql.ref(name)}`))},
        updated_at = now()
  `.compile(db),
    names.length,
  );
  const encode = (rows: readonly Row[]) =>
    names.map((name) =>
      textArray(rows.map((row) => toText(row[name], columns[name]))),
    );
  // Nothing here awaits the answer: who does holds the rows until it comes.
  return async (trx, rows) =>
    rows.length === 0 ? undefined : write(trx, ...encode(rows));
}

function toText(value: unknown, type: ColumnType): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (type === "text[]") return arrayLiteral(value as readonly string[]);
  return typeof value === "string" && type !== "jsonb"
    ? value
    : JSON.stringify(value);
}
