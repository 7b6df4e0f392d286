import { printable } from "./print.ts";

/** Rows in columns as wide as their widest cell, for people. */
export function formatTable(
  columns: readonly string[],
  rawRows: readonly (readonly string[])[],
): string {
  const rows = rawRows.map((row) => row.map(printable));
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...rows.map((row) => (row[index] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    `  ${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join("   ")}`.trimEnd();
  const rule = widths.map((width) => "─".repeat(width));
  return [line(columns), line(rule), ...rows.map(line), ""].join("\n");
}
