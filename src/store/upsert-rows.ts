import { sql } from "kysely";
import type { Transaction } from "./database.ts";

/**
 * Writes whole rows in one statement, however many: new ones are inserted, known ones replaced. One JSON
 * parameter for all of them, since arrays of arrays (`text[]` columns) cannot be unnested by row.
 *
 * @param columns the SQL type of each column that the rows have
 */
export async function upsertRows<Row extends object>(
  trx: Transaction,
  table: "cards" | "authorizations",
  key: keyof Row & string,
  columns: Readonly<Record<keyof Row & string, string>>,
  rows: readonly Row[],
): Promise<void> {
  if (rows.length === 0) return;
  const names = Object.keys(columns) as (keyof Row & string)[];
  const replaced = names.filter((name) => name !== key);
  await sql`
    insert into ${sql.table(table)} (${sql.join(names.map((name) => sql.ref(name)))})
    select ${sql.join(names.map((name) => sql.ref(name)))}
    from json_to_recordset(${JSON.stringify(rows)}::json)
      as row(${sql.join(names.map((name) => sql`${sql.ref(name)} ${sql.raw(columns[name])}`))})
    on conflict (${sql.ref(key)}) do update
    set ${sql.join(replaced.map((name) => sql`${sql.ref(name)} = excluded.${sql.ref(name)}`))},
        updated_at = now()
  `.execute(trx);
}
