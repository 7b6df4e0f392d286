import stringWidth from "string-width";
import type { ColumnChange } from "../operate/row-changes.ts";
import { PROJECTIONS } from "../projections/index.ts";
import { keyOfId } from "../projections/rows.ts";

const CONTROL_CHARACTER = /[\x00-\x09\x0b-\x1f\x7f-\x9f]/g;

/**
 * What UQPAY or a forger named may hold control characters, and a terminal obeys them: they are shown as `\x1b`, only a
 * line's end is left.
 */
export function escapeControl(text: string): string {
  return text.replace(CONTROL_CHARACTER, escape);
}

/** The same for one cell or name, in which a line's end is no more welcome. */
export function printable(text: string): string {
  return escapeControl(text.replace(/\n/g, escape));
}

function escape(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

export function toText(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** `3 cards`, `1 card` */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${String(number)} ${number === 1 ? one : many}`;
}

export function describeChange({ column, from, to }: ColumnChange): string {
  return `${column}: ${toText(from)} -> ${toText(to)}`;
}

/** The same with its row, as a line. */
export function describeRowChange(change: ColumnChange): string {
  const row = `${change.table} ${describeKey(change)}`;
  return `    ${printable(`${row} ${describeChange(change)}`)}\n`;
}

/** `t-1 refund` */
export function describeKey({ table, id }: RowName): string {
  const projection = PROJECTIONS.find((one) => one.table === table);
  return projection ? keyOfId(projection, id).join(" ") : id;
}

type RowName = Pick<ColumnChange, "table" | "id">;

interface Issue {
  readonly path: string;
  readonly message: string;
}

export function describeIssue({ path, message }: Issue): string {
  return `${path} ${message}`;
}

const MARGIN = "  ";
const GAP = "   ";

/**
 * Rows in columns, for people. Where they do not fit the width, each row stands as a list of its columns, as psql's
 * `\x auto` does: ids stay whole.
 */
export function formatTable(
  columns: readonly string[],
  rawRows: readonly (readonly string[])[],
  width = Infinity,
): string {
  const rows = rawRows.map((row) => row.map(printable));
  const widths = columns.map((column, index) =>
    widest([column, ...rows.map((row) => row[index] ?? "")]),
  );
  const rule = widths.map((size) => "─".repeat(size));
  if (stringWidth(formatLine(rule, widths)) > width)
    return rows.map((row) => formatRecord(columns, row, width)).join("\n");
  return [columns, rule, ...rows]
    .map((row) => formatLine(row, widths))
    .join("");
}

function formatRecord(
  columns: readonly string[],
  row: readonly string[],
  width: number,
): string {
  const names = widest(columns);
  const room = Math.max(8, width - MARGIN.length - names - GAP.length);
  const piece = new RegExp(`.{1,${room}}(?: |$)|.{1,${room}}`, "gu");
  return columns
    .flatMap((column, index) =>
      (row[index]?.match(piece) ?? []).map((text, at) =>
        formatLine([at === 0 ? column : "", text], [names, room]),
      ),
    )
    .join("");
}

function formatLine(
  cells: readonly string[],
  widths: readonly number[],
): string {
  const padded = cells.map(
    (cell, index) =>
      cell + " ".repeat(Math.max(0, (widths[index] ?? 0) - stringWidth(cell))),
  );
  return `${MARGIN}${padded.join(GAP).trimEnd()}\n`;
}

function widest(texts: readonly string[]): number {
  return texts.reduce((width, text) => Math.max(width, stringWidth(text)), 0);
}
