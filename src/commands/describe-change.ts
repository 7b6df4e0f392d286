import type { ColumnChange } from "../operate/row-changes.ts";

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

/** The same for programs; a row that is not there has null in every column. */
export function toPlainChange({ from, to, ...where }: ColumnChange) {
  return { ...where, from: from ?? null, to: to ?? null };
}

function toText(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  return typeof value === "string" ? value : JSON.stringify(value);
}
