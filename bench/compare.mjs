// Two builds of the service beside each other: what recording and applying an event costs Node.js and PostgreSQL, batch
// by batch in turns, in this process. Where the machine's speed changes from minute to minute this still tells a
// difference of two in a hundred, which rates of whole runs do not. Needs Linux's /proc.
//
//   git worktree add ../before <commit> && (cd ../before && npm ci && npm run build)
//   npm run bench:compare -- ../before/dist [dist] [--batch 500] [--batches 120]
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { createLogger } from "../dist/src/process/logger.js";
import { median, sum } from "../scripts/measuring/numbers.mjs";
import { cpuUsOfThread } from "../scripts/measuring/process-figures.mjs";
import { startEnvironment } from "./lib/environment.mjs";
import { makeEvent } from "./lib/events.mjs";
import { reconcileOptions } from "./lib/reconcile-options.mjs";

const OWN_BUILD = new URL("../dist", import.meta.url);
/** As many as one commit takes in at 128 connections. */
const RECORDED_TOGETHER = 64;
/** So many batches wait while one is applied. */
const BACKLOG = 8;
/** Of the batches: until the code of both is compiled, nothing is counted. */
const WARM_UP = 1 / 3;
const COSTS = /** @type {const} */ ([
  ["applied, PostgreSQL", "applyPostgresUs"],
  ["applied, Node.js", "applyNodeUs"],
  ["recorded, PostgreSQL", "recordPostgresUs"],
  ["recorded, Node.js", "recordNodeUs"],
]);

/** @typedef {{ eventId: string, eventType: string, cardId: string, body: string }} NewEvent */
/** @typedef {Record<(typeof COSTS)[number][1], number[]>} Samples for each event, one a batch */
/**
 * @typedef {object} Build
 * @property {Samples} samples
 * @property {(events: readonly NewEvent[]) => Promise<void>} record
 * @property {(ids: readonly string[]) => Promise<void>} apply
 * @property {() => Promise<void>} close
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: "string", default: "500" },
    batches: { type: "string", default: "120" },
  },
});
const [before, after = OWN_BUILD] = positionals;
const batch = Number(values.batch);
const batches = Number(values.batches);
if (before === undefined || !(batch > 0) || !(batches > 0)) {
  process.stderr.write(
    "npm run bench:compare -- <dist> [dist] [--batch 500] [--batches 120]\n",
  );
  process.exit(1);
}

// As in `run.mjs`: a signal alone would leave PostgreSQL and Redis behind.
for (const signal of ["SIGINT", "SIGTERM"])
  process.once(signal, () => process.exit(1));

const environment = await startEnvironment();
try {
  const builds = [await open(before), await open(after)];
  await takeTurns(builds);
  process.stdout.write(formatCosts(builds));
  for (const build of builds) await build.close();
} finally {
  await environment.stop();
}

/** @param {string | URL} dist @returns {Promise<Build>} */
async function open(dist) {
  const folder = dist instanceof URL ? dist : pathToFileURL(resolve(dist));
  const load = (/** @type {string} */ file) =>
    import(`${folder.href}/src/${file}.js`);
  const { prepareDatabase } = await load("prepare-database");
  const { createPool, createDatabase } = await load("store/database");
  const { recordEvents } = await load("store/inbox");
  const { reconcileEvents } = await load("reconcile-events");
  const { createTurns } = await load("take-turns");
  const { noCheckpoint } = await load("checkpoint");
  const { instantFromEpochMs } = await load("domain/instant");
  (await load("tune-v8")).tuneV8();

  // Its own migrations: a build may be faster by what its tables are.
  const database = await environment.emptyDatabase();
  const { url } = database;
  await prepareDatabase(url, { kind: "postgres", url }, createLogger("error"));
  const openPool = (/** @type {boolean} */ looksUpOnly) =>
    createPool({
      url,
      maxConnections: 1,
      queryTimeoutMs: 600_000,
      applicationName: "benchmark",
      looksUpOnly,
      onError: () => undefined,
    });
  const [inbox, worker] = [openPool(false), openPool(true)];
  const [inboxPid, workerPid] = [await pidOf(inbox), await pidOf(worker)];
  const options = reconcileOptions(createDatabase(worker), {
    checkpoint: noCheckpoint,
    turns: createTurns(),
  });
  /** @type {Samples} */
  const samples = {
    applyPostgresUs: [],
    applyNodeUs: [],
    recordPostgresUs: [],
    recordNodeUs: [],
  };
  return {
    samples,
    record: async (events) => {
      const entries = events.map(({ eventId, eventType, cardId, body }) => ({
        eventId,
        eventType,
        eventName: "ISSUING",
        version: "V1.6.0",
        sourceId: undefined,
        cardId,
        body,
        bodySha256: createHash("sha256").update(body).digest(),
        signedAt: instantFromEpochMs(Date.now()),
        state: "received",
        issues: [],
      }));
      const cost = await costOf(inboxPid, async () => {
        for (let at = 0; at < entries.length; at += RECORDED_TOGETHER)
          await recordEvents(inbox, entries.slice(at, at + RECORDED_TOGETHER));
      });
      samples.recordPostgresUs.push(cost.postgresUs);
      samples.recordNodeUs.push(cost.nodeUs);
    },
    apply: async (ids) => {
      const cost = await costOf(workerPid, async () => {
        const { reconciled } = await reconcileEvents(ids, options);
        if (reconciled.length < ids.length)
          throw new Error("not every event was applied");
      });
      samples.applyPostgresUs.push(cost.postgresUs);
      samples.applyNodeUs.push(cost.nodeUs);
    },
    close: async () => {
      await Promise.all([inbox.end(), worker.end()]);
      await database.drop();
    },
  };
}

/** @param {import("pg").Pool} pool @returns {Promise<number>} of its one connection's process */
async function pidOf(pool) {
  const { rows } = await pool.query("select pg_backend_pid() as pid");
  return rows[0].pid;
}

/** Every second time the other one is first. @param {readonly Build[]} builds */
async function takeTurns(builds) {
  /** @type {string[][]} */
  const waiting = [];
  for (let turn = 0; turn < batches + BACKLOG; turn++) {
    const order = turn % 2 === 0 ? builds : builds.toReversed();
    const events = Array.from({ length: batch }, () => makeEvent());
    for (const build of order) await build.record(events);
    waiting.push(events.map(({ eventId }) => eventId));
    if (turn < BACKLOG) continue;
    const ids = waiting.shift() ?? [];
    for (const build of order) await build.apply(ids);
  }
}

/** @param {number} postgresPid @param {() => Promise<void>} work @returns processor time for each event of a batch */
async function costOf(postgresPid, work) {
  const [nodeBefore, postgresBefore] = [
    process.cpuUsage(),
    cpuUsOfThread(postgresPid),
  ];
  await work();
  const { user, system } = process.cpuUsage(nodeBefore);
  return {
    nodeUs: (user + system) / batch,
    postgresUs: (cpuUsOfThread(postgresPid) - postgresBefore) / batch,
  };
}

/** @param {readonly Build[]} builds */
function formatCosts([one, other]) {
  return COSTS.map(([title, name]) => {
    const counted = (/** @type {Build | undefined} */ build) => {
      const all = build?.samples[name] ?? [];
      return all.slice(Math.floor(all.length * WARM_UP));
    };
    const [was, is] = [counted(one), counted(other)];
    const ratios = is.map((value, at) => value / (was[at] ?? NaN));
    return [
      title.padEnd(20),
      `${median(was).toFixed(1).padStart(6)} us`,
      `${median(is).toFixed(1).padStart(6)} us`,
      `${median(ratios).toFixed(3)} ± ${errorOfMedian(ratios).toFixed(3)}\n`,
    ].join("  ");
  }).join("");
}

/** The standard error, as that of a normal distribution. @param {readonly number[]} values */
function errorOfMedian(values) {
  const mean = sum(values) / values.length;
  const variance =
    sum(values.map((value) => (value - mean) ** 2)) / values.length;
  return 1.25 * Math.sqrt(variance / values.length);
}
