import { sql } from "kysely";
import type { CardEvent } from "../domain/card-event.ts";
import type { Projection } from "../projections/projection.ts";
import { hasCard, keyColumns, statementsIn } from "../projections/rows.ts";
import type { Database, Transaction } from "./database.ts";

/*
 * Events that name no card. A card leads to all events about its rows; to these, and from them to their rows, leads only
 * what is noted here when they are applied.
 */

type Key = readonly string[];

/** Rows of one projection. */
export interface RowsOfTable {
  readonly projection: Projection;
  readonly keys: readonly Key[];
}

/** Call it under `lockRows`. */
export async function noteEventsWithoutCard(
  trx: Transaction,
  projection: Projection,
  events: readonly CardEvent[],
): Promise<void> {
  const pairs = events
    .filter(({ cardId }) => cardId === undefined)
    .flatMap((event) =>
      statementsIn(projection, [event]).map(({ key }) => [key, event.eventId]),
    );
  if (pairs.length === 0) return;
  await sql`
    insert into events_without_card (table_name, row_key, event_id)
    select ${projection.table}, array(select jsonb_array_elements_text(pair -> 0)), pair ->> 1
    from jsonb_array_elements(${JSON.stringify(pairs)}::jsonb) as pair
    on conflict (table_name, row_key, event_id) do nothing
  `.execute(trx);
}

/** The events without a card that any of these rows was told of by. */
export async function findEventsWithoutCard(
  db: Database,
  rows: readonly RowsOfTable[],
): Promise<string[]> {
  const wanted = rows.flatMap(({ projection, keys }) =>
    keys.map((key) => [projection.table, key]),
  );
  if (wanted.length === 0) return [];
  const found = await sql<{ event_id: string }>`
    select distinct noted.event_id
    from jsonb_array_elements(${JSON.stringify(wanted)}::jsonb) as wanted
    join events_without_card noted
      on noted.table_name = wanted ->> 0 and noted.row_key = array(select jsonb_array_elements_text(wanted -> 1))
  `.execute(db);
  return found.rows.map((row) => row.event_id);
}

/** The rows that any of these events told of without naming a card. */
export async function findRowsWithoutCard(
  db: Database,
  eventIds: readonly string[],
  projections: readonly Projection[],
): Promise<RowsOfTable[]> {
  if (eventIds.length === 0) return [];
  const { rows } = await sql<{ table_name: string; row_key: Key }>`
    select distinct table_name, row_key
    from events_without_card
    where event_id = any(${eventIds}::text[])
  `.execute(db);
  return projections
    .map((projection) => ({
      projection,
      keys: rows
        .filter((row) => row.table_name === projection.table)
        .map((row) => row.row_key),
    }))
    .filter(({ keys }) => keys.length > 0);
}

/**
 * The keys of a table's rows that have no card, after this one, in their order: those that are there, or those that are
 * gone and must be, since an event without a card told of them.
 */
export async function pageRowsWithoutCard(
  db: Database,
  projection: Projection,
  which: "stored" | "gone",
  after: Key | undefined,
  limit: number,
): Promise<Key[]> {
  const names = keyColumns(projection).map((name) => sql.ref(name));
  const key = sql`array[${sql.join(names)}]::text[]`;
  const { rows } =
    which === "stored"
      ? await sql<{ key: Key }>`
          select ${key} as key
          from ${sql.table(projection.table)}
          where ${hasCard(projection) ? sql`card_id is null` : sql`true`}
            and ${after === undefined ? sql`true` : sql`(${sql.join(names)}) > (${sql.join(after)})`}
          order by ${sql.join(names)}
          limit ${limit}
        `.execute(db)
      : await sql<{ key: Key }>`
          select distinct row_key as key
          from events_without_card noted
          where table_name = ${projection.table}
            and ${after === undefined ? sql`true` : sql`row_key > ${after}::text[]`}
            and not exists (
              select from ${sql.table(projection.table)}
              where ${sql.join(
                names.map(
                  (name, at) =>
                    sql`${name} = noted.row_key[${sql.lit(at + 1)}]`,
                ),
                sql` and `,
              )}
            )
          order by row_key
          limit ${limit}
        `.execute(db);
  return rows.map((row) => row.key);
}
