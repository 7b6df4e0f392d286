/**
 * Prints rows under their names, in columns.
 *
 * @param {readonly Record<string, unknown>[]} rows
 * @param {readonly string[]} [texts] the columns that are aligned to the left
 */
export function formatTable(rows, texts = []) {
  const names = Object.keys(rows[0] ?? {});
  const cells = [
    names,
    ...rows.map((row) => names.map((name) => show(row[name]))),
  ];
  const widths = names.map((_, i) =>
    Math.max(...cells.map((line) => line[i]?.length ?? 0)),
  );
  return cells
    .map((line) =>
      line
        .map((cell, i) =>
          texts.includes(names[i] ?? "")
            ? cell.padEnd(widths[i] ?? 0)
            : cell.padStart(widths[i] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** @param {unknown} value */
function show(value) {
  return typeof value === "number" && !Number.isInteger(value)
    ? value.toFixed(2)
    : String(value);
}
