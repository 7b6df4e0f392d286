// Runs the cells in rounds, there and back (A B B A …), so that a machine that changes changes for all of them, and one
// that slows down is not slower for those that come later.
import { median } from "../../scripts/measuring/numbers.mjs";
import { MOST_STEAL } from "./machine.mjs";

/** @typedef {import("../measures/cell.mjs").Cell} Cell */
/** @typedef {import("../measures/cell.mjs").Sample} Sample */
/** @typedef {Map<string, Sample[]>} Samples by the cell's key */

/** @param {readonly import("../measures/rows.mjs").Row[]} rows @returns {Cell[]} each once, before those that build on it */
export function cellsOf(rows) {
  const cells = rows.flatMap((row) => row.cells);
  return [...new Map(cells.map((cell) => [cell.key, cell])).values()];
}

/**
 * @param {readonly Cell[]} cells
 * @param {{ environment: import("./environment.mjs").Environment, options: import("./options.mjs").Options }} where
 * @param {(line: string) => void} say
 * @returns {Promise<Samples>}
 */
export async function runRounds(cells, { environment, options }, say) {
  /** @type {Samples} */
  const samples = new Map(cells.map(({ key }) => [key, []]));
  const context = {
    environment,
    options,
    median: (/** @type {string} */ key, /** @type {string} */ field) =>
      medianOf(samples.get(key) ?? [], field),
  };
  for (let round = 1; round <= options.runs; round++)
    for (const cell of round % 2 === 1 ? cells : cells.toReversed()) {
      if (round > (cell.mostRuns ?? options.runs)) continue;
      const sample = await cell.run(context).catch(toInvalid);
      samples.get(cell.key)?.push(sample);
      say(
        `${String(round)}/${String(options.runs)}  ${describe(cell, sample)}`,
      );
    }
  return samples;
}

/** @param {readonly Sample[]} samples @param {string} field */
export function medianOf(samples, field) {
  return median(
    samples
      .filter(({ problems }) => problems.length === 0)
      .map((sample) => sample[field]),
  );
}

/** A run that broke is one without figures; the others still say something. @param {Error} error @returns {Sample} */
function toInvalid(error) {
  return { problems: [error.message], steal: 0 };
}

/** @type {readonly (readonly [string, string])[]} */
const SHOWN = [
  ["rate", "/s"],
  ["appliedRate", "/s applied"],
  ["p50Ms", "ms p50"],
  ["p99Ms", "ms p99"],
  ["lagP99Ms", "ms lag p99"],
  ["cpuUs", "us CPU"],
  ["postgresCpuUs", "us postgres"],
  ["peakMiB", "MiB"],
  ["sweepMs", "ms"],
  ["applyUs", "us to apply"],
];

/** @param {Cell} cell @param {Sample} sample */
function describe({ key }, sample) {
  const figures = SHOWN.filter(([name]) => sample[name] !== undefined).map(
    ([name, unit]) =>
      `${sample[name] < 100 ? sample[name].toFixed(2) : String(Math.round(sample[name]))} ${unit}`,
  );
  const isMarked = sample.steal > MOST_STEAL;
  const notes = [
    ...(isMarked ? [`steal ${(sample.steal * 100).toFixed(0)} %`] : []),
    ...sample.problems.map((problem) => `INVALID: ${problem}`),
  ];
  return `${key}: ${[...figures, ...notes].join(", ")}`;
}
