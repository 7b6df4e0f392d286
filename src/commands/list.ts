import type { Context, Outcome } from "./frame.ts";
import { describeIssue, toText } from "./text.ts";

/** Ends a command that lists: these columns for people, each member of the records by its name in SQL for programs. */
export function list(
  { printTable }: Context,
  name: string,
  columns: readonly string[],
  records: readonly object[],
): Outcome {
  const rows = records.map(bySqlNames);
  const cells = rows.map((row) => columns.map((column) => toCell(row[column])));
  printTable(columns, cells);
  return { result: { [name]: rows } };
}

/** `eventId` is `event_id` in SQL and in `--json`. */
function bySqlNames(record: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]: [string, unknown]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  );
}

function toCell(value: unknown): string {
  // The only lists are those of issues.
  if (Array.isArray(value)) return value.map(describeIssue).join("; ");
  return value === null ? "" : toText(value);
}
