import type { ColumnChange } from "../store/row-changes.ts";

/** One line: which column of which row has which value and which other one. */
export function describeChange({
  table,
  id,
  column,
  from,
  to,
}: ColumnChange): string {
  return `    ${table} ${id} ${column}: ${toText(from)} -> ${toText(to)}\n`;
}

function toText(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  return typeof value === "string" ? value : JSON.stringify(value);
}
