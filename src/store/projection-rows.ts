import type { RawBuilder } from "kysely";
import { sql } from "kysely";
import type { Projection } from "../projections/projection.ts";
import type { Row } from "../projections/rows.ts";
import { hasCard, keyColumns, registerColumns } from "../projections/rows.ts";
import type { Database, Transaction } from "./database.ts";

/**
 * The rows of any projection: locked, read and written by what the projection says of its columns. The names in these
 * statements come from the code alone; the texts of one projection never change, so they are prepared.
 */

type Key = readonly string[];

/**
 * Holds these rows for one writer until the transaction ends, whether they exist yet or not: a row lock cannot hold
 * what is not there, and inserting a stub first would write it twice. Sorted in one statement, so that two writers
 * never wait for each other in a circle.
 */
export async function lockRows(
  trx: Transaction,
  locks: readonly {
    readonly projection: Projection;
    readonly keys: readonly Key[];
  }[],
): Promise<void> {
  const names = locks.flatMap(({ projection, keys }) =>
    keys.map((key) => [projection.subject, ...key].join(" ")),
  );
  await sql`
    /* lock-rows */
    select count(pg_advisory_xact_lock(key))
    from (select hashtextextended(name, 0) as key from unnest(${names}::text[]) as name order by key) keys
  `.execute(trx);
}

/** What is stored of these rows: the key, what the registers hold and their clocks; `whole`: what derives, too. */
export async function selectRows(
  db: Database,
  projection: Projection,
  keys: readonly Key[],
  columns: "registers" | "whole" = "registers",
): Promise<Row[]> {
  if (keys.length === 0) return [];
  const { table } = projection;
  const keyNames = keyColumns(projection);
  const names =
    columns === "whole"
      ? Object.keys(projection.columns)
      : [...keyNames, ...registerColumns(projection)];
  const wanted = keyNames.map(
    (_, at) => sql`${keys.map((key) => key[at])}::text[]`,
  );
  const { rows } = await sql<Row>`
    ${named("select", table, columns)}
    select ${list(names)}, field_clocks
    from unnest(${sql.join(wanted)}) as wanted (${list(keyNames)})
    join ${sql.table(table)} using (${list(keyNames)})
  `.execute(db);
  return rows;
}

/** The keys of the rows that the table has under these cards. */
export async function findKeysOfCards(
  db: Database,
  projection: Projection,
  cardIds: readonly string[],
): Promise<Key[]> {
  if (cardIds.length === 0 || !hasCard(projection)) return [];
  const keyNames = keyColumns(projection);
  const { rows } = await sql<Readonly<Record<string, string>>>`
    select ${list(keyNames)}
    from ${sql.table(projection.table)}
    where card_id = any(${cardIds}::text[])
  `.execute(db);
  return rows.map((row) => keyNames.map((name) => String(row[name])));
}

/** Writes whole rows, new or not; call it under `lockRows`. */
export async function upsertRows(
  trx: Transaction,
  projection: Projection,
  rows: readonly Row[],
): Promise<void> {
  if (rows.length === 0) return;
  const { table, columns } = projection;
  const keyNames = keyColumns(projection);
  const names = [...Object.keys(columns), "field_clocks"];
  const typed = names.map(
    (name) => sql`${sql.ref(name)} ${sql.raw(columns[name]?.type ?? "jsonb")}`,
  );
  const updates = names
    .filter((name) => !keyNames.includes(name))
    .map((name) => sql`${sql.ref(name)} = excluded.${sql.ref(name)}`);
  await sql`
    ${named("upsert", table)}
    insert into ${sql.table(table)} (${list(names)})
    select ${list(names)} from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as row (${sql.join(typed)})
    on conflict (${list(keyNames)}) do update set ${sql.join(updates)}, updated_at = now()
  `.execute(trx);
}

function list(names: readonly string[]): RawBuilder<unknown> {
  return sql.join(names.map((name) => sql.ref(name)));
}

/** A statement that begins with its name is prepared under it, see `createDatabase`. */
function named(...words: readonly string[]): RawBuilder<unknown> {
  return sql.raw(`/* ${words.join("-").replaceAll("_", "-")} */`);
}
