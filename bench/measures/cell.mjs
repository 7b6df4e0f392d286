// A cell is one variant under one load: what rows compare. Each is run once in every round.

/** @typedef {import("../lib/environment.mjs").QueueKind} QueueKind */

/**
 * What a run gave. `problems` make it invalid, `steal` may mark it.
 *
 * @typedef {{ problems: readonly string[], steal: number } & Record<string, any>} Sample
 */

/**
 * @typedef {object} Context
 * @property {import("../lib/environment.mjs").Environment} environment
 * @property {import("../lib/options.mjs").Options} options
 * @property {(key: string, field: string) => number} median of the valid runs so far; NaN when there are none
 */

/**
 * @typedef {object} Cell
 * @property {string} key
 * @property {(context: Context) => Promise<Sample>} run
 * @property {number} [mostRuns] of one that takes long
 */

/**
 * @param {Context} context @param {Cell} full @returns {number} half of what it answers in a second
 * @throws without a valid run of it
 */
export function halfRateOf({ median }, full) {
  const rate = Math.round(median(full.key, "rate") / 2);
  if (Number.isFinite(rate)) return rate;
  throw new Error(`needs a valid run of: ${full.key}`);
}
