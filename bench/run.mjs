// The benchmark: npm run bench -- --help
import { startEnvironment } from "./lib/environment.mjs";
import { currentCommit, keep } from "./lib/history.mjs";
import { closedLoopSender } from "./lib/load.mjs";
import { describeMachine } from "./lib/machine.mjs";
import { USAGE, UsageError, readOptions } from "./lib/options.mjs";
import { formatCells, formatResults, judge, toRecord } from "./lib/report.mjs";
import { cellsOf, runRounds } from "./lib/rounds.mjs";
import { listRows } from "./measures/rows.mjs";

/** What fits in 90 s and still shows each end of the service. */
const SHORT = [
  "shell",
  "plain-redis",
  "plain-postgres",
  "queues",
  "silent",
  "fsyncs",
  "drain",
  "together-redis",
  "open-loop",
];

// Ends by way of "exit", whose listeners end what was started; a signal alone would leave all of it behind.
for (const signal of ["SIGINT", "SIGTERM"])
  process.once(signal, () => process.exit(1));

try {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(USAGE);
  else await run(options);
} catch (error) {
  if (!isUsageFault(error)) throw error;
  say(/** @type {Error} */ (error).message);
  process.exitCode = 1;
}

/** @param {unknown} error */
function isUsageFault(error) {
  const code = /** @type {NodeJS.ErrnoException} */ (error).code ?? "";
  return error instanceof UsageError || code.startsWith("ERR_PARSE_ARGS");
}

/** @param {import("./lib/options.mjs").Options} options */
async function run(options) {
  const startedAt = Date.now();
  const environment = await startEnvironment();
  try {
    const queues = queuesOf(options, environment.redisUrl);
    const rows = selectRows(options, queues);
    const about = {
      at: new Date(startedAt).toISOString(),
      commit: currentCommit(),
      machine: describeMachine(),
      sender: closedLoopSender,
      options,
    };
    say(`${about.machine}, ${about.sender}; ${JSON.stringify(options)}`);
    const cells = cellsOf(rows);
    const samples = await runRounds(cells, { environment, options }, say);
    const results = judge(rows, samples);
    const record = toRecord(results, samples, about);
    keep(record);
    process.stdout.write(
      options.json
        ? `${JSON.stringify(record, undefined, 2)}\n`
        : `\n${formatCells(samples)}\n\n${formatResults(results)}\n\n${String(Math.round((Date.now() - startedAt) / 1000))} s; kept in bench/results/\n`,
    );
    // A ratio that misses its goal is a finding; a run that lost an event is a fault.
    if (results.some(({ invalid }) => invalid > 0)) process.exitCode = 1;
  } finally {
    await environment.stop();
  }
}

/** @param {import("./lib/options.mjs").Options} options @param {string | undefined} redisUrl */
function queuesOf({ queue }, redisUrl) {
  if (queue === "redis" && redisUrl === undefined)
    throw new UsageError("no redis-server or valkey-server is on the PATH");
  if (redisUrl === undefined)
    say("No redis-server or valkey-server is on the PATH: PostgreSQL only.");
  /** @type {import("./lib/environment.mjs").QueueKind[]} */
  const all = redisUrl === undefined ? ["postgres"] : ["redis", "postgres"];
  return all.filter((kind) => queue === undefined || kind === queue);
}

/** @param {import("./lib/options.mjs").Options} options @param {readonly import("./lib/environment.mjs").QueueKind[]} queues */
function selectRows(options, queues) {
  const all = listRows(options, queues);
  const names =
    options.only.length > 0 || !options.short ? options.only : SHORT;
  const unknown = options.only.filter(
    (name) => !all.some((row) => namesOf(row).includes(name)),
  );
  if (unknown.length > 0)
    throw new UsageError(
      `no measure ${unknown.join(", ")}; there are ${[...new Set(all.flatMap(namesOf))].join(", ")}`,
    );
  return all.filter((row) =>
    names.length === 0
      ? row.group === undefined
      : namesOf(row).some((name) => names.includes(name)),
  );
}

/** What `--only` may call it. @param {import("./measures/rows.mjs").Row} row */
function namesOf({ name, group }) {
  return group === undefined ? [name] : [group, name];
}

/** Beside the results, so that those can be piped. @param {string} line */
function say(line) {
  process.stderr.write(`${line}\n`);
}
