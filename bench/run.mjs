// The benchmark: npm run bench -- --help
import { cpus } from "node:os";
import { Command, InvalidArgumentError, Option } from "commander";
import { formatTable } from "../scripts/measuring/format-table.mjs";
import { quantile } from "../scripts/measuring/numbers.mjs";
import { findRedisServer } from "../scripts/measuring/redis-server.mjs";
import {
  PLAIN_SERVICE,
  THIS_BUILD,
  buildIn,
  startEnvironment,
  withSystem,
} from "./environment.mjs";
import { measures } from "./measures.mjs";

/** For each second of load. */
const BACKLOG = 5_000;
/** The plain service's would take minutes. */
const PLAIN_BACKLOG = 500;
const QUEUES = /** @type {const} */ (["redis", "postgres"]);

/** @typedef {import("./environment.mjs").Program} Program */
/** @typedef {import("./environment.mjs").QueueKind} QueueKind */
/** @typedef {import("./measures.mjs").Result} Result */
/** @typedef {{ queue: QueueKind, measure: string, rounds: Result[][] }} Cell rounds: each has a result of both programs */
/** @typedef {{ seconds: number, connections: number, rate: number }} Load */

// Ends by way of "exit", whose listeners end what was started; a signal alone would leave it behind.
for (const signal of ["SIGINT", "SIGTERM"])
  process.once(signal, () => process.exit(1));

await run(readOptions(process.argv));

/** @param {string[]} argv */
function readOptions(argv) {
  const command = new Command("bench")
    .description(
      "Measures this build beside the plain service, or beside another build, in turns.",
    )
    .option("--compare <folder>", "another build: with dist/ and node_modules/")
    .option("--short", "one round of short runs, under two minutes", false)
    .addOption(
      new Option("--queue <kind>", "default: both").choices([...QUEUES]),
    )
    .addOption(
      new Option("--only <measures...>", "default: all").choices(
        Object.keys(measures),
      ),
    )
    .option("--runs <count>", "rounds; default: 3", positive)
    .option("--seconds <count>", "of load in each run; default: 6", positive)
    .option("--connections <count>", "of the closed loop", positive, 32)
    .option("--rate <count>", "events a second, open loop", positive, 300)
    .parse(argv);
  const { short, ...options } = command.opts();
  return {
    only: Object.keys(measures),
    runs: short ? 1 : 3,
    seconds: short ? 2 : 6,
    ...options,
  };
}

/** @param {string} text */
function positive(text) {
  if (Number(text) > 0) return Number(text);
  throw new InvalidArgumentError("It must be a number above 0.");
}

/** @param {ReturnType<typeof readOptions>} options */
async function run({ compare, queue, only, runs, ...load }) {
  const startedAt = Date.now();
  const programs = [
    compare === undefined ? PLAIN_SERVICE : buildIn("other build", compare),
    THIS_BUILD,
  ];
  const queues = queuesOf(queue);
  const cells = queues.flatMap((queue) =>
    only.map((measure) => ({ queue, measure, rounds: [] })),
  );
  const environment = await startEnvironment({
    withRedis: queues.includes("redis"),
  });
  const setting = { environment, programs, load };
  try {
    for (let round = 0; round < runs; round++)
      for (const cell of cells)
        cell.rounds.push(await takeTurns(setting, cell, round));
  } finally {
    await environment.stop();
  }
  process.stdout.write(
    `\n${String(cpus().length)} x ${cpus()[0]?.model ?? "?"}, Node.js ${process.version}\n${formatCells(cells, programs)}\n${String(Math.round((Date.now() - startedAt) / 1000))} s\n`,
  );
}

/** @param {QueueKind | undefined} queue @returns {readonly QueueKind[]} */
function queuesOf(queue) {
  if (findRedisServer() !== undefined) return queue ? [queue] : QUEUES;
  if (queue === "redis") throw new Error("no redis-server is on the PATH");
  process.stderr.write("No redis-server is on the PATH: PostgreSQL only.\n");
  return ["postgres"];
}

/**
 * Both programs, every second time the other one first: a machine that becomes slower does so for both.
 *
 * @param {{ environment: import("./environment.mjs").Environment, programs: readonly Program[], load: Load }} setting
 * @param {Cell} cell @param {number} round
 */
async function takeTurns(setting, { queue, measure }, round) {
  const { environment, programs, load } = setting;
  /** @type {Result[]} */
  const results = [];
  for (const at of round % 2 === 0 ? [0, 1] : [1, 0]) {
    const program = programs[at];
    const perSecond = program === PLAIN_SERVICE ? PLAIN_BACKLOG : BACKLOG;
    const options = {
      ...load,
      warmUpSeconds: load.seconds / 2,
      backlog: Math.ceil(perSecond * load.seconds),
    };
    // A run that broke off is one without figures; the others still say something.
    const result = await withSystem(environment, program, queue, (system) =>
      measures[measure](system, options),
    ).catch(({ message }) => ({ figures: {}, problems: [message] }));
    results[at] = result;
    // Beside the table, so that it can be piped.
    process.stderr.write(
      `${measure} on ${queue}, ${program.name}: ${formatResult(result)}\n`,
    );
    // A ratio is a finding; a run that lost an event is a fault.
    if (result.problems.length > 0) process.exitCode = 1;
  }
  return results;
}

/** @param {Result} result */
function formatResult({ figures, problems }) {
  return [
    ...problems.map((problem) => `INVALID: ${problem}`),
    ...Object.entries(figures).map(
      ([name, value]) => `${formatFigure(value)} ${name}`,
    ),
  ].join("; ");
}

/** Medians of the rounds that are valid for both. @param {readonly Cell[]} cells @param {readonly Program[]} programs */
function formatCells(cells, programs) {
  const rows = cells.flatMap(({ queue, measure, rounds }) => {
    const valid = rounds.filter((round) =>
      round.every(({ problems }) => problems.length === 0),
    );
    const figures = Object.keys(valid[0]?.[0].figures ?? { INVALID: NaN });
    return figures.map((figure) => {
      const [base, own] = [0, 1].map((at) =>
        valid.map((round) => round[at].figures[figure]),
      );
      const ratios = own.map((value, at) => value / base[at]);
      return {
        measure: `${measure}, ${queue}`,
        figure,
        [programs[0].name]: formatFigure(quantile(base, 0.5)),
        [programs[1].name]: formatFigure(quantile(own, 0.5)),
        ratio: quantile(ratios, 0.5).toFixed(2),
        rounds: ratios.map((ratio) => ratio.toFixed(2)).join(" "),
      };
    });
  });
  return formatTable(rows, ["measure", "figure", "rounds"]);
}

/** @param {number} value */
function formatFigure(value) {
  return value < 100 ? value.toFixed(1) : String(Math.round(value));
}
