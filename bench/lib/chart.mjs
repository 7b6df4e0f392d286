// The results as a picture: how far each measure is from its goal, on a logarithmic scale.
import { showGoal, showNumber } from "./report.mjs";

const WIDTH = 900;
const LABELS = 460;
const LINE = 24;
const TOP = 40;
/** A tenth of the goal is the left end, ten times the goal the right one. */
const DECADES = 1;
const COLOURS = { reached: "#2e7d32", "not reached": "#c62828" };

/** @param {readonly import("./report.mjs").Result[]} results @param {string} title @returns {string} SVG */
export function drawChart(results, title) {
  const shown = results.filter(
    ({ value, goal }) => value !== null && goal !== undefined,
  );
  const height = TOP + shown.length * LINE + 16;
  const goalX = position(1);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    `<text x="8" y="20" font-weight="bold">${escape(title)}</text>`,
    `<text x="${goalX}" y="34" text-anchor="middle">goal</text>`,
    ...shown.map(drawBar),
    `<line x1="${goalX}" x2="${goalX}" y1="${TOP}" y2="${height - 12}" stroke="black" stroke-dasharray="3"/>`,
    "</svg>",
    "",
  ].join("\n");
}

/** @param {import("./report.mjs").Result} result @param {number} index */
function drawBar({ what, under, value, goal, outcome }, index) {
  const y = TOP + index * LINE;
  const x = position(attainment(value ?? NaN, goal));
  const from = Math.min(x, position(1));
  const length = Math.max(2, Math.abs(x - position(1)));
  const colour = COLOURS[/** @type {keyof typeof COLOURS} */ (outcome)];
  const label = `${what} (${under}): ${showNumber(value ?? NaN)}, goal ${showGoal(goal)}`;
  return [
    `<text x="8" y="${y + 14}" font-size="9">${escape(label)}</text>`,
    `<rect x="${from}" y="${y + 4}" width="${length}" height="${LINE - 8}" fill="${colour}"/>`,
  ].join("\n");
}

/** 1 is the goal, more is better. @param {number} value @param {import("../measures/rows.mjs").Goal} goal */
function attainment(value, goal) {
  if (goal === undefined) return 1;
  return "atLeast" in goal
    ? value / goal.atLeast
    : goal.atMost / Math.max(value, Number.MIN_VALUE);
}

/** @param {number} share */
function position(share) {
  const decades = Math.max(-DECADES, Math.min(DECADES, Math.log10(share)));
  const half = (WIDTH - LABELS - 16) / 2;
  return Math.round(LABELS + half + (decades / DECADES) * half);
}

/** @param {string} text */
function escape(text) {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}
