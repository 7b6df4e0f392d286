// A rate counts only when every answer was right and every acknowledged event is in the inbox.

/**
 * @param {readonly import("./load.mjs").Load[]} loads everything that was sent
 * @param {number} rows that are in the inbox now and were not before
 * @param {number} inFlight connections: what was under way when a try ended is stored, but was not counted
 * @returns {string[]} what is wrong
 */
export function findMissing(loads, rows, inFlight) {
  const answered =
    sumOf(loads, "requests") +
    sumOf(loads, "discarded") -
    sumOf(loads, "refused");
  const most = answered + inFlight * triesOf(loads);
  return [
    ...findRefused(loads),
    ...(rows < answered
      ? [`${String(answered)} acknowledged, but ${String(rows)} rows`]
      : []),
    ...(rows > most
      ? [`${String(rows)} rows, but ${String(answered)} acknowledged`]
      : []),
  ];
}

/** @type {readonly import("./server.mjs").Program[]} They keep nothing: only their answers can be wrong. */
const WITHOUT_DATABASE = ["shell", "bare"];

/**
 * As `findMissing`, for any program.
 *
 * @param {import("./server.mjs").Program} program @param {readonly import("./load.mjs").Load[]} loads
 * @param {number} rows @param {number} inFlight
 */
export function findFaults(program, loads, rows, inFlight) {
  return WITHOUT_DATABASE.includes(program)
    ? findRefused(loads)
    : findMissing(loads, rows, inFlight);
}

/** Each of them may have left requests under way. @param {readonly import("./load.mjs").Load[]} loads */
export function triesOf(loads) {
  return loads.reduce((tries, load) => tries + (load.tries ?? 1), 0);
}

/** @param {readonly import("./load.mjs").Load[]} loads */
export function findRefused(loads) {
  const refused = sumOf(loads, "refused");
  const failed = sumOf(loads, "failed");
  return [
    ...(refused > 0 ? [`${String(refused)} answers were not 200`] : []),
    ...(failed > 0 ? [`${String(failed)} requests had no answer`] : []),
  ];
}

/** @param {readonly import("./load.mjs").Load[]} loads @param {"requests" | "refused" | "failed" | "discarded"} field */
function sumOf(loads, field) {
  return loads.reduce((sum, load) => sum + (load[field] ?? 0), 0);
}
