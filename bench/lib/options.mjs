// The command line of `npm run bench`.
import { parseArgs } from "node:util";

export const USAGE = `npm run bench -- [options]

  --short              one round of the main measures, under 90 s
  --only <name,…>      these measures only, by the names of the first column; "memory" also looks for growth, and
                       "limits" compares with the least that can answer durably, and apply ("limits-worker" and so
                       on a part of it)
  --runs 5             rounds; every variant runs once in each, and medians are compared
  --seconds 10         of load in each run
  --connections 32,128 of the closed loop
  --rates 500,1000     also the latency of the open loop at these fixed rates
  --queue <kind>       redis or postgres only
  --roles <how>        of "both together": all (one process) or split (api and worker)
  --rows 2000000       of the large inbox
  --json               prints JSON instead of the table
  --help

Results are kept in bench/results/: history.jsonl, latest.json and latest.svg.
`;

/** What a person can put right at the command line. */
export class UsageError extends Error {}

/**
 * @typedef {object} Options
 * @property {boolean} short
 * @property {boolean} json
 * @property {readonly string[]} only empty: all
 * @property {number} runs
 * @property {number} seconds
 * @property {number} warmUpSeconds
 * @property {readonly number[]} connections
 * @property {readonly number[]} rates
 * @property {"redis" | "postgres" | undefined} queue
 * @property {"all" | "split"} roles
 * @property {number} rows
 */

/** @param {string[]} args @returns {Options | undefined} undefined: help was asked for */
export function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      short: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      runs: { type: "string" },
      seconds: { type: "string" },
      connections: { type: "string" },
      rates: { type: "string" },
      queue: { type: "string" },
      roles: { type: "string", default: "all" },
      rows: { type: "string", default: "2000000" },
    },
  });
  if (values.help) return undefined;
  const { short, json } = values;
  return {
    short,
    json,
    only: values.only.split(",").filter((name) => name !== ""),
    runs: readNumber("runs", values.runs ?? (short ? "1" : "5")),
    seconds: readNumber("seconds", values.seconds ?? (short ? "2" : "10")),
    // Just-in-time code of the hot path is settled after some ten thousand requests.
    warmUpSeconds: short ? 2 : 5,
    connections: readNumbers(
      "connections",
      values.connections ?? (short ? "128" : "32,128"),
    ),
    rates: readNumbers("rates", values.rates ?? ""),
    queue: readWord("queue", values.queue, ["redis", "postgres"]),
    roles: readWord("roles", values.roles, ["all", "split"]) ?? "all",
    rows: readNumber("rows", values.rows),
  };
}

/** @param {string} name @param {string} text */
function readNumbers(name, text) {
  return text
    .split(",")
    .filter((part) => part !== "")
    .map((part) => readNumber(name, part));
}

/** @param {string} name @param {string} text */
function readNumber(name, text) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1)
    throw new UsageError(`--${name} must be a whole number from 1 on`);
  return number;
}

/** @template {string} Word @param {string} name @param {string | undefined} text @param {readonly Word[]} words */
function readWord(name, text, words) {
  if (text === undefined) return undefined;
  const word = words.find((one) => one === text);
  if (word === undefined)
    throw new UsageError(`--${name} must be one of ${words.join(", ")}`);
  return word;
}
