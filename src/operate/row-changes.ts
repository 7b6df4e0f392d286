import { isDeepStrictEqual } from "node:util";
import type { Projection } from "../projections/projection.ts";
import type { Row } from "../projections/rows.ts";
import { idOf, keyOfRow } from "../projections/rows.ts";
import type { Database } from "../store/database.ts";
import { selectRows } from "../store/projection-rows.ts";

/** A column that has one value here and another one there. */
export interface ColumnChange {
  readonly table: string;
  readonly id: string;
  readonly column: string;
  readonly from: unknown;
  readonly to: unknown;
}

/** Rows of one projection, by `idOf` their keys. */
export type Rows = ReadonlyMap<string, Row>;

/** Rows of some projections. */
export type Tables = ReadonlyMap<Projection, Rows>;

/** These rows as they stand, whole. */
export async function readTables(
  db: Database,
  wanted: readonly {
    readonly projection: Projection;
    readonly keys: readonly (readonly string[])[];
  }[],
): Promise<Tables> {
  const tables = new Map<Projection, Rows>();
  for (const { projection, keys } of wanted) {
    const rows = await selectRows(db, projection, keys, "whole");
    const byId = rows.map(
      (row) => [idOf(keyOfRow(projection, row)), row] as const,
    );
    tables.set(projection, new Map(byId));
  }
  return tables;
}

/** What differs between two states of the same rows. A row that is missing has null in every column. */
export function compareTables(from: Tables, to: Tables): ColumnChange[] {
  return [...from].flatMap(([projection, rows]) =>
    compareRows(projection, rows, to.get(projection) ?? new Map<string, Row>()),
  );
}

export function compareRows(
  { table, columns }: Projection,
  from: Rows,
  to: Rows,
): ColumnChange[] {
  const names = [...Object.keys(columns), "field_clocks"];
  const ids = [...new Set([...from.keys(), ...to.keys()])];
  return ids.flatMap((id) =>
    names
      .map((column) => ({
        table,
        id,
        column,
        from: from.get(id)?.[column] ?? null,
        to: to.get(id)?.[column] ?? null,
      }))
      .filter((change) => !isDeepStrictEqual(change.from, change.to)),
  );
}
