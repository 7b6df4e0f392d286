// The table: each row is one measure with its goal.
import { apply, describeWorld } from "./apply.mjs";
import { drain } from "./drain.mjs";
import { forgedFlood, genuineUnderFlood } from "./flood.mjs";
import { ingestOnto, sweep } from "./growth.mjs";
import { closedLoop, duplicateStorm, fixedRate, halfRate } from "./ingest.mjs";
import { memoryOverTime } from "./memory.mjs";
import { singleInserts } from "./single-inserts.mjs";
import { halfTogether, sustained, together } from "./together.mjs";

/** @typedef {import("./cell.mjs").Cell} Cell */
/** @typedef {import("./cell.mjs").QueueKind} QueueKind */
/** @typedef {import("../lib/server.mjs").Program} Program */
/** @typedef {{ atLeast: number } | { atMost: number } | undefined} Goal */
/** @typedef {(cell: Cell, field?: string) => number} Median by default of the rate */

/**
 * @typedef {object} Row
 * @property {string} name for `--only`
 * @property {string} [group] of rows that run only when they are asked for: `--only` takes it for all of them
 * @property {string} what
 * @property {string} under which conditions
 * @property {Goal} goal undefined: reported only
 * @property {readonly Cell[]} cells
 * @property {(median: Median) => number} value
 */

const MANY = 128;
const FEW = 32;
const SMALL_INBOX = 10_000;

/**
 * @param {import("../lib/options.mjs").Options} options
 * @param {readonly QueueKind[]} queues that can be measured; most rows are about the first
 * @returns {Row[]}
 */
export function listRows(options, queues) {
  const [main = "postgres"] = queues;
  return [
    ...options.connections.flatMap((count) => ingestRows(count, main, queues)),
    ...limitRows(options.connections, main, queues),
    ...latencyRows(main),
    ...options.rates.map((rate) => rateRow(rate, main)),
    ...writeRows(main),
    ...workerRows(main, queues),
    ...togetherRows(main, queues),
    ...attackRows(main),
    ...memoryRows(main, options.only.includes("memory")),
    ...growthRows(main, options.rows),
    ...applyRows(),
  ];
}

/** @param {number} connections @param {QueueKind} main @param {readonly QueueKind[]} queues @returns {Row[]} */
function ingestRows(connections, main, queues) {
  const under = `${String(connections)} connections`;
  const product = closedLoop("product", main, connections);
  const shell = closedLoop("shell", main, connections);
  const silent = closedLoop("silent", main, connections);
  return [
    {
      name: "shell",
      what: "durable answers / the same shell without the database",
      under,
      goal: atLeast({ [FEW]: 0.65, [MANY]: 0.95 }[connections]),
      cells: [product, shell],
      value: (median) => median(product) / median(shell),
    },
    ...queues.map((queue) => plainRow(queue, connections)),
    ...queuesRow(queues, connections),
    {
      name: "silent",
      what: "full product / without logs, metrics, optional headers",
      under,
      goal: atLeast(0.85),
      cells: [product, silent],
      value: (median) => median(product) / median(silent),
    },
  ];
}

/**
 * What leaves most of the work out, beside what the product is compared with.
 *
 * @param {readonly number[]} connections @param {QueueKind} main @param {readonly QueueKind[]} queues @returns {Row[]}
 */
function limitRows(connections, main, queues) {
  return [
    ...connections.flatMap((count) => ingestLimitRows(count, main)),
    ...openLoopLimitRows(main),
    ...floodLimitRows(main),
    ...workerLimitRows(main, queues),
  ].map((row) => ({ ...row, group: "limits" }));
}

/** @param {number} connections @param {QueueKind} main @returns {Row[]} */
function ingestLimitRows(connections, main) {
  const under = `${String(connections)} connections`;
  /** @type {readonly (readonly [Program, string, readonly Program[]])[]} */
  const leftOut = [
    ["least", "the least that answers durably", ["shell", "plain", "product"]],
    ["inbox", "the shell with nothing but the inbox", ["shell", "plain"]],
  ];
  return leftOut.flatMap(([program, what, others]) => {
    const cell = closedLoop(program, main, connections);
    return others.map((other) => {
      const base = closedLoop(other, main, connections);
      return {
        name: "limits-answers",
        what: `${what} / ${other}`,
        under,
        goal: undefined,
        cells: [cell, base],
        value: (/** @type {Median} */ median) => median(cell) / median(base),
      };
    });
  });
}

/** What the sender and the shell alone take, without a database. @param {QueueKind} main @returns {Row[]} */
function openLoopLimitRows(main) {
  const full = closedLoop("product", main, MANY);
  const floor = singleInserts(1);
  return /** @type {const} */ (["bare", "shell"]).map((program) => {
    const half = halfRate(full, main, program);
    return {
      name: "limits-open-loop",
      what: `p99 of ${program} in open loop / commit floor`,
      under: "half of the product's closed-loop rate",
      goal: undefined,
      cells: [full, floor, half],
      value: (median) => median(half, "p99Ms") / median(floor, "p50Ms"),
    };
  });
}

/** What the flood and its sender take from whoever shares the machine with them. @param {QueueKind} main @returns {Row[]} */
function floodLimitRows(main) {
  const flood = forgedFlood("product", main, MANY);
  return /** @type {const} */ (["bare", "shell"]).map((program) => {
    const genuine = genuineUnderFlood(flood, main, program);
    return {
      name: "limits-flood",
      what: `genuine p99 of ${program} under a forged flood / alone`,
      under: "half of what the product refuses",
      goal: undefined,
      cells: [flood, genuine],
      value: (median) =>
        median(genuine, "p99Ms") / median(genuine, "aloneP99Ms"),
    };
  });
}

/** @param {QueueKind} main @param {readonly QueueKind[]} queues @returns {Row[]} */
function workerLimitRows(main, queues) {
  const least = drain("leastWorker", main);
  const ingest = closedLoop("product", main, MANY);
  /** @type {readonly (readonly [string, Cell])[]} */
  const others = [
    ["durable answers", ingest],
    ["the worker", drain("product", main)],
    ...queues.map(
      (queue) =>
        /** @type {const} */ ([
          `plain worker on ${queue}`,
          drain("plain", queue),
        ]),
    ),
  ];
  return others.map(([what, other]) => ({
    name: "limits-worker",
    what: `the least that applies / ${what}`,
    under: "one process",
    goal: undefined,
    cells: [least, other],
    value: (median) => median(least) / median(other),
  }));
}

/** @param {QueueKind} queue @param {number} connections @returns {Row} */
function plainRow(queue, connections) {
  const product = closedLoop("product", queue, connections);
  const plain = closedLoop("plain", queue, connections);
  const goals = {
    redis: { [FEW]: 4, [MANY]: 6 },
    postgres: { [FEW]: 6, [MANY]: 8 },
  };
  return {
    name: `plain-${queue}`,
    what: `durable answers / plain service on ${queue}`,
    under: `${String(connections)} connections`,
    goal: atLeast(goals[queue][connections]),
    cells: [product, plain],
    value: (median) => median(product) / median(plain),
  };
}

/** @param {readonly QueueKind[]} queues @param {number} connections @returns {Row[]} */
function queuesRow(queues, connections) {
  if (!queues.includes("redis") || !queues.includes("postgres")) return [];
  const redis = closedLoop("product", "redis", connections);
  const postgres = closedLoop("product", "postgres", connections);
  return [
    {
      name: "queues",
      what: "durable answers, queue on postgres / on redis",
      under: `${String(connections)} connections`,
      goal: atLeast(0.9),
      cells: [redis, postgres],
      value: (median) => median(postgres) / median(redis),
    },
  ];
}

/** @param {QueueKind} main @returns {Row[]} */
function latencyRows(main) {
  const few = closedLoop("product", main, FEW);
  const many = closedLoop("product", main, MANY);
  const inserts = singleInserts(FEW);
  const floor = singleInserts(1);
  const half = halfRate(many, main);
  const percentile = (/** @type {"p50Ms" | "p99Ms"} */ field) => ({
    name: "latency",
    what: `${field.slice(0, 3)} of an answer / of single-row inserts`,
    under: `${String(FEW)} connections and clients`,
    goal: atMost(3),
    cells: [few, inserts],
    value: (/** @type {Median} */ median) =>
      median(few, field) / median(inserts, field),
  });
  return [
    percentile("p50Ms"),
    percentile("p99Ms"),
    {
      name: "open-loop",
      what: "p99 in open loop / commit floor",
      under: "half of the closed-loop rate",
      goal: atMost(10),
      cells: [many, floor, half],
      value: (median) => median(half, "p99Ms") / median(floor, "p50Ms"),
    },
    {
      name: "open-loop",
      what: "noise: p99 of commits alone at any time / commit floor",
      under: "one client",
      goal: undefined,
      cells: [floor],
      value: (median) => median(floor, "anyTimeP99Ms") / median(floor, "p50Ms"),
    },
  ];
}

/** @param {number} rate @param {QueueKind} main @returns {Row} */
function rateRow(rate, main) {
  const open = fixedRate(main, rate);
  return {
    name: "rates",
    what: "p99 in open loop, ms",
    under: `${String(rate)} events/s`,
    goal: undefined,
    cells: [open],
    value: (median) => median(open, "p99Ms"),
  };
}

/** @param {QueueKind} main @returns {Row[]} */
function writeRows(main) {
  const product = closedLoop("product", main, MANY);
  const inserts = singleInserts(FEW);
  const under = `${String(MANY)} connections`;
  return [
    {
      name: "fsyncs",
      what: "fsyncs of the WAL per event",
      under,
      goal: atMost(0.05),
      cells: [product],
      value: (median) => median(product, "fsyncsPerEvent"),
    },
    {
      name: "wal",
      what: "WAL per event / per single-row insert",
      under,
      goal: atMost(1.3),
      cells: [product, inserts],
      value: (median) =>
        median(product, "walBytesPerEvent") /
        median(inserts, "walBytesPerEvent"),
    },
  ];
}

/** @param {QueueKind} main @param {readonly QueueKind[]} queues @returns {Row[]} */
function workerRows(main, queues) {
  const ingest = closedLoop("product", main, MANY);
  const worker = drain("product", main);
  const goals = { redis: 10, postgres: 20 };
  return [
    {
      name: "drain",
      what: "worker's drain / durable answers, each alone",
      under: `${String(MANY)} connections`,
      goal: atLeast(2),
      cells: [ingest, worker],
      value: (median) => median(worker) / median(ingest),
    },
    ...queues.map((queue) => {
      const product = drain("product", queue);
      const plain = drain("plain", queue);
      return {
        name: `drain-${queue}`,
        what: `worker's drain / plain worker's on ${queue}`,
        under: "one process",
        goal: atLeast(goals[queue]),
        cells: [product, plain],
        value: (/** @type {Median} */ median) =>
          median(product) / median(plain),
      };
    }),
  ];
}

/** @param {QueueKind} main @param {readonly QueueKind[]} queues @returns {Row[]} */
function togetherRows(main, queues) {
  const goals = { redis: 5, postgres: 8 };
  const minute = sustained(main);
  const full = together("product", main);
  const half = halfTogether(full, main);
  return [
    ...queues.map((queue) => {
      const product = together("product", queue);
      const plain = together("plain", queue);
      return {
        name: `together-${queue}`,
        what: `applied while taking in / plain service on ${queue}`,
        under: `${String(MANY)} connections`,
        goal: atLeast(goals[queue]),
        cells: [product, plain],
        value: (/** @type {Median} */ median) =>
          median(product, "appliedRate") / median(plain, "appliedRate"),
      };
    }),
    {
      name: "backlog",
      what: "backlog at the end, seconds of ingest",
      under: "both for a minute",
      goal: atMost(1),
      cells: [minute],
      value: (median) => median(minute, "backlogSeconds"),
    },
    {
      name: "lag",
      what: "p99 from commit to projection, ms",
      under: "full load, both",
      goal: atMost(500),
      cells: [minute],
      value: (median) => median(minute, "lagP99Ms"),
    },
    {
      name: "lag-half",
      what: "p99 from commit to projection, ms",
      under: "half load, both",
      goal: atMost(50),
      cells: [full, half],
      value: (median) => median(half, "lagP99Ms"),
    },
  ];
}

/** @param {QueueKind} main @returns {Row[]} */
function attackRows(main) {
  const unique = closedLoop("product", main, MANY);
  const storm = duplicateStorm(main, MANY);
  const flood = forgedFlood("product", main, MANY);
  const bare = forgedFlood("bare", main, MANY);
  const genuine = genuineUnderFlood(flood, main);
  return [
    {
      name: "duplicates",
      what: "answers with 90 % copies / all unique",
      under: `${String(MANY)} connections`,
      goal: atLeast(1),
      cells: [unique, storm],
      value: (median) => median(storm) / median(unique),
    },
    {
      name: "flood",
      what: "forged requests refused / bare node:http with the HMAC",
      under: `${String(MANY)} connections`,
      goal: atLeast(0.6),
      cells: [flood, bare],
      value: (median) => median(flood) / median(bare),
    },
    {
      name: "flood-latency",
      what: "genuine p99 under a forged flood / alone",
      under: "flood of half the capacity",
      goal: atMost(3),
      cells: [flood, genuine],
      value: (median) =>
        median(genuine, "p99Ms") / median(genuine, "aloneP99Ms"),
    },
  ];
}

/** @param {QueueKind} main @param {boolean} overTime @returns {Row[]} */
function memoryRows(main, overTime) {
  const product = closedLoop("product", main, MANY);
  const shell = closedLoop("shell", main, MANY);
  const minutes = memoryOverTime(main, MANY);
  return [
    {
      name: "memory",
      what: "peak memory / the same shell without the database",
      under: `${String(MANY)} connections`,
      goal: atMost(1.5),
      cells: [product, shell],
      value: (median) => median(product, "peakMiB") / median(shell, "peakMiB"),
    },
    ...(overTime
      ? [
          {
            name: "memory",
            what: "memory's rise over the second half",
            under: "both for five minutes",
            // The bound of the soak test.
            goal: atMost(0.08),
            cells: [minutes],
            value: (/** @type {Median} */ median) =>
              median(minutes, "risenShare"),
          },
        ]
      : []),
  ];
}

/** @param {QueueKind} main @param {number} rows @returns {Row[]} */
function growthRows(main, rows) {
  const small = ingestOnto(main, SMALL_INBOX, MANY);
  const large = ingestOnto(main, rows, MANY);
  const search = sweep(rows);
  const under = `${rows.toLocaleString("en")} rows`;
  return [
    {
      name: "growth",
      what: `durable answers / on ${SMALL_INBOX.toLocaleString("en")} rows`,
      under,
      goal: atLeast(0.95),
      cells: [small, large],
      value: (median) => median(large) / median(small),
    },
    {
      name: "sweep",
      what: "search for stalled events, ms",
      under,
      goal: atMost(2),
      cells: [search],
      value: (median) => median(search, "sweepMs"),
    },
  ];
}

/** What must not grow with what is stored, and what grows with the event itself. @returns {Row[]} */
function applyRows() {
  const alone = apply({});
  return [
    { otherCards: 1_000_000 },
    { earlierEvents: 100_000 },
    { quarantined: 1_000_000 },
    { codes: 10 },
    { codes: 100 },
    { codes: 1_000 },
  ].map((world) => {
    const cell = apply(world);
    return {
      name: "apply",
      what: "an event applied / in small tables",
      under: describeWorld(world),
      goal: undefined,
      cells: [alone, cell],
      value: (/** @type {Median} */ median) =>
        median(cell, "applyUs") / median(alone, "applyUs"),
    };
  });
}

/** @param {number | undefined} least @returns {Goal} */
function atLeast(least) {
  return least === undefined ? undefined : { atLeast: least };
}

/** @param {number} most @returns {Goal} */
function atMost(most) {
  return { atMost: most };
}
