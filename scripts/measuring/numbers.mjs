// Arithmetic on samples, and numbers that can be repeated.

/** A repeatable source of numbers from 0 to 1 (mulberry32). @param {number} seed */
export function createRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** @param {readonly number[]} values @param {number} share from 0 to 1 */
export function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return (
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ??
    NaN
  );
}

/**
 * How much the straight line through the points rises from the first to the last of them (least squares).
 *
 * @param {readonly number[]} values
 */
export function rise(values) {
  const middle = (values.length - 1) / 2;
  const mean =
    values.reduce((total, value) => total + value, 0) / values.length;
  let above = 0;
  let below = 0;
  values.forEach((value, index) => {
    above += (index - middle) * (value - mean);
    below += (index - middle) ** 2;
  });
  return below === 0 ? 0 : (above / below) * (values.length - 1);
}

/** The least of each few: what is left after a collection. @param {readonly number[]} values */
export function floors(values) {
  const group = Math.max(1, Math.floor(values.length / 12));
  return Array.from({ length: Math.floor(values.length / group) }, (_, index) =>
    Math.min(...values.slice(index * group, (index + 1) * group)),
  );
}
