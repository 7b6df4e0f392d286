// What is kept of each run, outside of the repository: a line in the history, the last record and its chart.
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { drawChart } from "./chart.mjs";

const RESULTS = new URL("../results/", import.meta.url);

/** @param {{ at: string, machine: string, results: readonly import("./report.mjs").Result[] } & Record<string, unknown>} record */
export function keep(record) {
  mkdirSync(RESULTS, { recursive: true });
  const { cells: _runs, ...summary } = record;
  appendFileSync(
    new URL("history.jsonl", RESULTS),
    `${JSON.stringify(summary)}\n`,
  );
  writeFileSync(
    new URL("latest.json", RESULTS),
    `${JSON.stringify(record, undefined, 2)}\n`,
  );
  writeFileSync(
    new URL("latest.svg", RESULTS),
    drawChart(record.results, `${record.at.slice(0, 16)}  ${record.machine}`),
  );
}

/** @returns {string | undefined} the commit that was measured, where this is a clone */
export function currentCommit() {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return undefined;
  }
}
