import type pg from "pg";

/** The columns that tell the story. Times and the marks of which event was the last one are left out. */
const TABLES = [
  {
    name: "cards",
    id: "card_id",
    columns: [
      "card_status",
      "status_reason",
      "status_contradicted",
      "card_limit",
      "available_balance",
      "per_transaction_limit",
      "mcc_mode",
      "allowed_mcc",
      "blocked_mcc",
    ],
  },
  {
    name: "authorizations",
    id: "transaction_id",
    columns: ["transaction_status", "mcc", "decline_category"],
  },
  { name: "quarantined_events", id: "id", columns: ["event_id"] },
] as const;

/** Each cell of the story's columns as text, by table, row and column; what is NULL has none. */
export type Cells = ReadonlyMap<string, string>;

export async function readCells(client: pg.Client): Promise<Cells> {
  const cells = new Map<string, string>();
  for (const { name, id, columns } of TABLES) {
    const shown = columns.map((column) => `${column}::text as ${column}`);
    const { rows } = await client.query<Record<string, string | null>>(
      `select ${id}::text as row_id, ${shown.join(", ")} from ${name} order by ${id}`,
    );
    for (const row of rows)
      for (const column of columns) {
        const value = row[column];
        if (typeof value === "string")
          cells.set(`${name} ${row["row_id"] ?? ""} ${column}`, value);
      }
  }
  return cells;
}

/** What differs, a line for each column: `cards 3974bad1-… card_status ACTIVE -> FROZEN`. */
export function describeChanges(before: Cells, after: Cells): string[] {
  const names = new Set([...after.keys(), ...before.keys()]);
  return [...names]
    .filter((name) => before.get(name) !== after.get(name))
    .filter((name) => !isEmptyStart(before.get(name), after.get(name)))
    .map(
      (name) =>
        `${name} ${before.get(name) ?? "NULL"} -> ${after.get(name) ?? "NULL"}`,
    );
}

/** A new row says nothing by what it has not. */
function isEmptyStart(from: string | undefined, to: string | undefined) {
  return from === undefined && (to === "false" || to === "{}");
}
