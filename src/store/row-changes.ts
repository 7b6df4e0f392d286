import { isDeepStrictEqual } from "node:util";
import { sql } from "kysely";
import type { Json } from "../domain/json.ts";
import { AUTHORIZATION_CLOCKS } from "./authorizations.ts";
import { CARD_CLOCKS } from "./card-columns.ts";
import type { AuthorizationsTable, CardsTable, Database } from "./database.ts";

/** A column that has one value here and another one there. */
export interface ColumnChange {
  readonly table: "cards" | "authorizations";
  readonly id: string;
  readonly column: string;
  readonly from: unknown;
  readonly to: unknown;
}

/** The rows of the projection as they stand, by id. */
export interface ProjectionRows {
  readonly cards: ReadonlyMap<string, CardsTable>;
  readonly authorizations: ReadonlyMap<string, AuthorizationsTable>;
}

/** The clocks that an earlier build wrote stand in them as this one writes them. */
export async function readProjection(
  db: Database,
  cardIds: readonly string[],
  transactionIds: readonly string[],
): Promise<ProjectionRows> {
  const cards = await db
    .selectFrom("cards")
    .selectAll()
    .where("card_id", "=", sql<string>`any(${cardIds}::text[])`)
    .execute();
  const authorizations = await db
    .selectFrom("authorizations")
    .selectAll()
    .where("transaction_id", "=", sql<string>`any(${transactionIds}::text[])`)
    .execute();
  return {
    cards: new Map(
      cards.map((row) => [row.card_id, withClocks(row, CARD_CLOCKS)]),
    ),
    authorizations: new Map(
      authorizations.map((row) => [
        row.transaction_id,
        withClocks(row, AUTHORIZATION_CLOCKS),
      ]),
    ),
  };
}

function withClocks<Row extends { readonly field_clocks: Json }>(
  row: Row,
  { rewrite }: { readonly rewrite: (entries: Json, row: object) => Json },
): Row {
  return { ...row, field_clocks: rewrite(row.field_clocks, row) };
}

/** When a row was written is no part of what it says. */
const NOT_COMPARED: ReadonlySet<string> = new Set(["updated_at"]);

/** What differs between two states of the same rows. A row that is missing has NULL in every column. */
export function compareProjections(
  from: ProjectionRows,
  to: ProjectionRows,
): ColumnChange[] {
  return [
    ...compareTables("cards", from.cards, to.cards),
    ...compareTables("authorizations", from.authorizations, to.authorizations),
  ];
}

function compareTables(
  table: ColumnChange["table"],
  from: ReadonlyMap<string, object>,
  to: ReadonlyMap<string, object>,
): ColumnChange[] {
  const ids = [...new Set([...from.keys(), ...to.keys()])];
  return ids.flatMap((id) =>
    compareRows(from.get(id) ?? {}, to.get(id) ?? {}).map((change) => ({
      table,
      id,
      ...change,
    })),
  );
}

function compareRows(
  from: object,
  to: object,
): Pick<ColumnChange, "column" | "from" | "to">[] {
  const before = new Map(Object.entries(from));
  const after = new Map(Object.entries(to));
  const columns = [...new Set([...before.keys(), ...after.keys()])];
  return columns
    .filter((column) => !NOT_COMPARED.has(column))
    .map((column) => ({
      column,
      from: before.get(column) as unknown,
      to: after.get(column) as unknown,
    }))
    .filter(
      (change) => !isDeepStrictEqual(change.from ?? null, change.to ?? null),
    );
}
