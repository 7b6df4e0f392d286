import type pg from "pg";
import { formatTable } from "../../src/commands/text.ts";

/** What the demo shows of a table. */
export interface Table {
  readonly name: string;
  readonly id: string;
  readonly columns: readonly string[];
}

/** Tables and views; `cards` is wide, and so it is here twice. */
export const TABLES: readonly Table[] = [
  {
    name: "cards",
    id: "card_id",
    columns: [
      "card_status",
      "status_reason",
      "cancel_requested_at",
      "cancelled_at",
    ],
  },
  {
    name: "cards",
    id: "card_id",
    columns: [
      "status_contradicted",
      "card_limit",
      "per_transaction_limit",
      "mcc_mode",
      "blocked_mcc",
    ],
  },
  {
    name: "authorizations",
    id: "transaction_id",
    columns: ["transaction_status", "description"],
  },
  {
    name: "mcc_declines",
    id: "transaction_id",
    columns: ["mcc", "merchant_name", "blocked_mcc", "rule_scope"],
  },
  {
    name: "quarantined_events",
    id: "id",
    columns: ["reason", "event_id", "deliveries"],
  },
];

/** The cells of each row as text by column, without those that are NULL; a row's name is `cards f5d1e60a-…`. */
export type Rows = Readonly<Record<string, Readonly<Record<string, string>>>>;

export async function readRows(client: pg.Client): Promise<Rows> {
  let rows: Rows = {};
  for (const { name, id, columns } of TABLES) {
    const cells = columns.map((column) => `'${column}', ${column}::text`);
    const found = await client.query<{ row: string; cells: Rows[string] }>(
      `select '${name} ' || ${id} as row, json_strip_nulls(json_build_object(${cells.join()})) as cells
       from ${name} order by ${id}`,
    );
    for (const { row, cells } of found.rows)
      rows = changeRows(rows, { [row]: cells });
  }
  return rows;
}

/** The rows with some cells added or replaced. */
export function changeRows(rows: Rows, changes: Rows): Rows {
  const changed = { ...rows };
  for (const [row, cells] of Object.entries(changes))
    changed[row] = { ...changed[row], ...cells };
  return changed;
}

/** What differs, a line for each cell: `cards 3974bad1-… card_status ACTIVE -> FROZEN`. */
export function listChanges(before: Rows, after: Rows): string[] {
  return Object.keys({ ...before, ...after }).flatMap((row) => {
    const [from, to] = [before[row] ?? {}, after[row] ?? {}];
    return Object.keys({ ...from, ...to })
      .filter((column) => from[column] !== to[column])
      .map(
        (column) =>
          `${row} ${column} ${from[column] ?? "NULL"} -> ${to[column] ?? "NULL"}`,
      );
  });
}

export function showTable({ name, id, columns }: Table, rows: Rows): string {
  const shown = Object.entries(rows)
    .filter(([row]) => row.startsWith(`${name} `))
    .toSorted(([row], [other]) => (row < other ? -1 : 1))
    .map(([row, cells]) => [
      row.slice(name.length + 1),
      ...columns.map((column) => cells[column] ?? ""),
    ]);
  return formatTable([id, ...columns], shown);
}
