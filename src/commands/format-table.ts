import Table from "cli-table3";
import stringWidth from "string-width";
import { printable } from "./print.ts";

const GAP = 3;
const MARGIN = 2;

/**
 * Rows in columns, for people. Cells break at blanks until the table fits the width; where that is not enough, since
 * ids must stay whole, each row stands as a list of its columns.
 */
export function formatTable(
  columns: readonly string[],
  rawRows: readonly (readonly string[])[],
  width = Infinity,
): string {
  const rows = rawRows.map((row) => row.map(printable));
  const widths = fitColumns(columns, rows, width - MARGIN);
  if (widths === undefined) return formatRecords(columns, rows, width);
  const rule = widths.map((size) => "─".repeat(size));
  return draw([columns, rule, ...rows], widths, true);
}

/** Each column as wide as its widest cell, or as far below as its longest word allows. */
function fitColumns(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  width: number,
): number[] | undefined {
  const cells = columns.map((column, index) => [
    column,
    ...rows.map((row) => row[index] ?? ""),
  ]);
  const widths = cells.map((texts) => widest(texts));
  const least = cells.map((texts) =>
    widest(texts.flatMap((text) => text.split(" "))),
  );
  const room = width - GAP * (columns.length - 1);
  for (let excess = sum(widths) - room; excess > 0; excess--) {
    // The one that loses least by it: the widest of those that still can.
    const spare = widths.map((size, index) =>
      size > (least[index] ?? 0) ? size : 0,
    );
    const at = spare.indexOf(Math.max(...spare));
    if ((spare[at] ?? 0) === 0) return undefined;
    widths[at] = (widths[at] ?? 0) - 1;
  }
  return widths;
}

function formatRecords(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  width: number,
): string {
  const names = widest(columns);
  const values = Math.max(8, width - MARGIN - names - GAP);
  return rows
    .map((row) => {
      const pairs = columns
        .map((column, index) => [column, row[index] ?? ""])
        .filter(([, value]) => value !== "");
      return draw(pairs, [names, values], false);
    })
    .join("\n");
}

function draw(
  rows: readonly (readonly string[])[],
  widths: readonly number[],
  keepsWords: boolean,
): string {
  const table = new Table({
    chars: Object.fromEntries([
      ...BORDERS.map((place) => [place, ""]),
      ["left", " ".repeat(MARGIN)],
      ["middle", " ".repeat(GAP)],
    ]) as Record<string, string>,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
    colWidths: [...widths],
    wordWrap: true,
    wrapOnWordBoundary: keepsWords,
  });
  table.push(...rows.map((row) => [...row]));
  const lines = table.toString().split("\n");
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n`;
}

const BORDERS = [
  ...["top", "top-mid", "top-left", "top-right"],
  ...["bottom", "bottom-mid", "bottom-left", "bottom-right"],
  ...["left-mid", "mid", "mid-mid", "right", "right-mid"],
];

function widest(texts: readonly string[]): number {
  return texts.reduce((width, text) => Math.max(width, stringWidth(text)), 0);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
