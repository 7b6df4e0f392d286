// From samples to the table, the JSON and what is kept.
import { formatTable } from "../../scripts/measuring/format-table.mjs";
import { MOST_STEAL } from "./machine.mjs";
import { medianOf } from "./rounds.mjs";

/** @typedef {import("../measures/rows.mjs").Row} Row */
/** @typedef {import("./rounds.mjs").Samples} Samples */
/** @typedef {"reached" | "not reached" | "not measured" | "-"} Outcome */

/**
 * @typedef {object} Result
 * @property {string} name
 * @property {string} what
 * @property {string} under
 * @property {number | null} value null: not measured
 * @property {import("../measures/rows.mjs").Goal} goal
 * @property {Outcome} outcome
 * @property {number} runs that were valid, of the cell with the fewest
 * @property {number} invalid runs
 * @property {number} marked runs with more steal than is good
 */

/** @param {readonly Row[]} rows @param {Samples} samples @returns {Result[]} */
export function judge(rows, samples) {
  return rows.map(({ name, what, under, goal, cells, value }) => {
    const measured = value(({ key }, field = "rate") =>
      medianOf(samples.get(key) ?? [], field),
    );
    const taken = cells.map(({ key }) => samples.get(key) ?? []);
    const valid = taken.map(
      (list) => list.filter(({ problems }) => problems.length === 0).length,
    );
    const all = taken.flat();
    return {
      name,
      what,
      under,
      value: Number.isFinite(measured) ? measured : null,
      goal,
      outcome: outcomeOf(measured, goal),
      runs: Math.min(...valid),
      invalid: all.filter(({ problems }) => problems.length > 0).length,
      marked: all.filter(({ steal }) => steal > MOST_STEAL).length,
    };
  });
}

/** @param {number} value @param {import("../measures/rows.mjs").Goal} goal @returns {Outcome} */
function outcomeOf(value, goal) {
  if (!Number.isFinite(value)) return "not measured";
  if (goal === undefined) return "-";
  const reaches =
    "atLeast" in goal ? value >= goal.atLeast : value <= goal.atMost;
  return reaches ? "reached" : "not reached";
}

/** @param {readonly Result[]} results */
export function formatResults(results) {
  return formatTable(
    results.map(({ name, what, under, value, goal, outcome, ...counts }) => ({
      name,
      what,
      under,
      value: value === null ? "?" : showNumber(value),
      goal: showGoal(goal),
      "": outcome,
      runs: counts.runs,
      invalid: counts.invalid || "",
      "steal > 10 %": counts.marked || "",
    })),
    ["name", "what", "under", ""],
  );
}

/** What the ratios are made of: the medians of each variant. @param {Samples} samples */
export function formatCells(samples) {
  return formatTable(
    [...samples].map(([key, runs]) => ({
      variant: key,
      ...Object.fromEntries(
        COLUMNS.map(([heading, field]) => {
          const value = medianOf(runs, field);
          return [heading, Number.isFinite(value) ? showNumber(value) : ""];
        }),
      ),
    })),
    ["variant"],
  );
}

/** @type {readonly (readonly [string, string])[]} */
const COLUMNS = [
  ["/s", "rate"],
  ["applied/s", "appliedRate"],
  ["p50 ms", "p50Ms"],
  ["p90 ms", "p90Ms"],
  ["p99 ms", "p99Ms"],
  ["max ms", "maxMs"],
  ["late p99 ms", "lateP99Ms"],
  ["lag p99 ms", "lagP99Ms"],
  ["CPU us", "cpuUs"],
  ["postgres us", "postgresCpuUs"],
  ["sender us", "senderCpuUs"],
  ["MiB", "peakMiB"],
  ["steal", "steal"],
];

/** @param {import("../measures/rows.mjs").Goal} goal */
export function showGoal(goal) {
  if (goal === undefined) return "";
  return "atLeast" in goal ? `>= ${goal.atLeast}` : `<= ${goal.atMost}`;
}

/** Three digits say all there is to say. @param {number} value */
export function showNumber(value) {
  return Math.abs(value) >= 100
    ? String(Math.round(value))
    : String(Number(value.toPrecision(3)));
}

/** What a run of the benchmark leaves: the results, and of each cell the medians and every run. @param {readonly Result[]} results @param {Samples} samples @param {object} about */
export function toRecord(results, samples, about) {
  return {
    ...about,
    results,
    cells: Object.fromEntries(
      [...samples].map(([key, runs]) => [
        key,
        { medians: medians(runs), runs },
      ]),
    ),
  };
}

/** @param {readonly import("./rounds.mjs").Sample[]} runs */
function medians(runs) {
  const fields = Object.entries(runs[0] ?? {})
    .filter(([, value]) => typeof value === "number")
    .map(([name]) => name);
  return Object.fromEntries(fields.map((name) => [name, medianOf(runs, name)]));
}
