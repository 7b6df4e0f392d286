// Overload: more than the service can take, in every way that holds something of it, and a genuine sender beside.
//
//   npm run test:overload -- [--seconds 10] [--queue postgres|redis] [--connections 10100] [--memory 400]
//
// First a closed loop finds what the service takes; then twice and ten times as much is offered; then
// connections are held in every way. All the while a genuine sender measures its own answers, and the service's
// memory and the delay of its event loop are looked at. It is the service's state that is judged, never its speed.
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { freshRequest } from "./attackers.mjs";
import { post } from "./deliveries.mjs";
import {
  Verdict,
  formatTable,
  openFiles,
  peakResidentMiB,
  quantile,
  readMetrics,
  readOptions,
  residentMiB,
  startSystem,
  waitUntilApplied,
} from "./system.mjs";

const options = readOptions({
  seconds: 10,
  queue: "postgres",
  // More than the service's limit of 10,000; 0 leaves this part out.
  connections: 10_100,
  // What the service may hold in memory at most, in MiB.
  memory: 400,
  // Only the attacks whose name contains this.
  only: "",
});
const GENUINE_PERIOD_MS = 50;
/** Who is not answered by then is shut out; slow answers of a busy machine are seen in the latencies. */
const GENUINE_TIMEOUT_MS = 15_000;
/** By the issue, on a machine that has time; on a busy one as long as an answer takes without any attack. */
const RECOVERY_MS = 1_000;
let patienceMs = RECOVERY_MS;

const { queue } = options;
if (queue !== "redis" && queue !== "postgres")
  throw new Error("--queue is redis or postgres");
process.stdout.write(`overload: ${JSON.stringify(options)}\n`);
const system = await startSystem({ queue });
const verdict = new Verdict();
/** @type {Set<string>} All that was acknowledged. */
const acknowledged = new Set();
/** @type {Record<string, unknown>[]} */
const table = [];
let highestLagMs = 0;
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });

/** Sends genuine events, on kept and on new connections by turns, until told to stop. */
function startGenuineSender() {
  const latencies = /** @type {number[]} */ ([]);
  /** @type {Record<string, number>} */
  const answers = {};
  let isOver = false;
  const done = (async () => {
    /** @type {Promise<void>[]} */
    const open = [];
    for (let turn = 0; !isOver; turn++) {
      open.push(sendOne(turn % 2 === 0 ? agent : false, latencies, answers));
      await sleep(GENUINE_PERIOD_MS);
    }
    await Promise.all(open);
  })();
  return {
    stop: async () => {
      isOver = true;
      await done;
      return { latencies, answers };
    },
  };
}

/** @param {http.Agent | false} from @param {number[]} latencies @param {Record<string, number>} answers */
async function sendOne(from, latencies, answers) {
  const [head = "", body = ""] = freshRequest().split("\r\n\r\n");
  const headers = Object.fromEntries(
    head
      .split("\r\n")
      .slice(1)
      .map((line) => /** @type {[string, string]} */ (line.split(": "))),
  );
  const startedAt = performance.now();
  let outcome;
  try {
    const answer = await post({
      port: system.port,
      agent: from,
      headers,
      body: Buffer.from(body),
      timeoutMs: GENUINE_TIMEOUT_MS,
    });
    outcome = String(answer.status);
    if (answer.status === 200)
      acknowledged.add(JSON.parse(answer.text).event_id);
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    outcome = code ?? message;
  }
  latencies.push(performance.now() - startedAt);
  answers[outcome] = (answers[outcome] ?? 0) + 1;
}

/** Looks at the service until told to stop. */
function startWatching() {
  const seen = { memory: 0, lagMs: 0, files: 0, scrapesFailed: 0 };
  let isOver = false;
  const memory = (async () => {
    while (!isOver) {
      seen.memory = Math.max(seen.memory, residentMiB(system.pid) || 0);
      await sleep(100);
    }
  })();
  const metrics = (async () => {
    while (!isOver) {
      seen.files = Math.max(seen.files, openFiles(system.pid) || 0);
      try {
        const figures = await readMetrics(system.port);
        seen.lagMs = Math.max(
          seen.lagMs,
          (figures.get("nodejs_eventloop_lag_max_seconds") ?? NaN) * 1000,
        );
      } catch {
        seen.scrapesFailed++;
      }
      await sleep(500);
    }
  })();
  return {
    stop: async () => {
      isOver = true;
      await Promise.all([memory, metrics]);
      highestLagMs = Math.max(highestLagMs, seen.lagMs);
      return seen;
    },
  };
}

/** @param {Omit<import("./attackers.mjs").Attack, "port">} attack @returns {Promise<import("./attackers.mjs").Outcome>} */
function run(attack) {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL("./attackers.mjs", import.meta.url), {
      workerData: { ...attack, port: system.port },
    });
    thread.once("message", resolve);
    thread.once("error", reject);
  });
}

/** @param {string} name @param {readonly Omit<import("./attackers.mjs").Attack, "port">[]} attacks */
async function underAttack(name, attacks) {
  const watching = startWatching();
  const genuine = startGenuineSender();
  const outcomes = await Promise.all(attacks.map(run));
  const { latencies, answers } = await genuine.stop();
  for (const { accepted } of outcomes)
    for (const id of accepted) acknowledged.add(id);
  const faults = outcomes.flatMap((outcome) => outcome.faults);
  const recovery = await timeToAnswer();
  const seen = await watching.stop();
  const success = (answers["200"] ?? 0) / Math.max(1, latencies.length);
  table.push({
    phase: name,
    peakMiB: seen.memory,
    files: seen.files,
    lagMaxMs: seen.lagMs,
    genuine: latencies.length,
    success: `${(success * 100).toFixed(1)} %`,
    p50ms: quantile(latencies, 0.5),
    p99ms: quantile(latencies, 0.99),
    recoveryMs: recovery,
  });
  process.stdout.write(`\n${name}\n`);
  for (const outcome of outcomes)
    process.stdout.write(
      `       offered ${String(outcome.offered)}, connections ${String(outcome.opened)}, answers ${JSON.stringify(outcome.answers)}\n`,
    );
  process.stdout.write(
    `       genuine sender: ${JSON.stringify(answers)}, p50 ${quantile(latencies, 0.5).toFixed(0)} ms, p99 ${quantile(latencies, 0.99).toFixed(0)} ms\n`,
  );
  verdict.check(
    system.ended() === undefined,
    `${name}: the service lives (${system.ended() ?? "yes"})`,
  );
  if (system.ended() !== undefined) throw new Error("the service ended");
  verdict.check(
    !(seen.memory > options.memory),
    `${name}: memory stays below ${String(options.memory)} MiB (${seen.memory.toFixed(0)} at most)`,
  );
  verdict.check(
    faults.length === 0,
    `${name}: every refusal is a 503 with Retry-After or another right one (${faults.slice(0, 3).join("; ")})`,
  );
  verdict.check(
    recovery < patienceMs,
    `${name}: a genuine request is answered ${recovery.toFixed(0)} ms after the end (bound ${patienceMs.toFixed(0)} ms)`,
  );
  return { outcomes, success, answers };
}

/** How long a genuine sender that tries until it is let in waits for its 200. */
async function timeToAnswer() {
  const startedAt = performance.now();
  for (;;) {
    /** @type {Record<string, number>} */
    const answers = {};
    await sendOne(false, [], answers);
    const took = performance.now() - startedAt;
    if (answers["200"] === 1 || took > 30_000) return took;
    await sleep(20);
  }
}

/** @param {string} name */
const isWanted = (name) => name.includes(options.only);

try {
  const { seconds } = options;
  // Just-in-time code and pools reach their size before anything is measured.
  await run({ kind: "flood", connections: 8, seconds: 3 }).then(
    ({ accepted }) => accepted.forEach((id) => acknowledged.add(id)),
  );
  const idle = residentMiB(system.pid);

  const calm = startGenuineSender();
  await sleep(seconds * 500);
  const { latencies } = await calm.stop();
  patienceMs = Math.max(RECOVERY_MS, 3 * quantile(latencies, 1));
  process.stdout.write(
    `\nwithout any load: p50 ${quantile(latencies, 0.5).toFixed(0)} ms, p99 ${quantile(latencies, 0.99).toFixed(0)} ms\n`,
  );
  const closedLoop = await underAttack("closed loop", [
    { kind: "flood", connections: 64, seconds },
  ]);
  const capacity = Math.max(
    20,
    (closedLoop.outcomes[0]?.accepted.length ?? 0) / seconds,
  );
  process.stdout.write(
    `       takes ${capacity.toFixed(0)} events/s here and now\n`,
  );
  for (const [factor, connections] of /** @type {const} */ ([
    [2, 300],
    [10, 600],
  ])) {
    const name = `${String(factor)} times as much`;
    if (!isWanted(name)) continue;
    const { outcomes } = await underAttack(name, [
      { kind: "flood", connections, seconds, rate: capacity * factor },
    ]);
    process.stdout.write(
      `       accepted ${((outcomes[0]?.accepted.length ?? 0) / seconds).toFixed(0)} events/s of ${((outcomes[0]?.offered ?? 0) / seconds).toFixed(0)} offered\n`,
    );
  }

  /** @type {readonly Omit<import("./attackers.mjs").Attack, "port">[]} */
  const holders = [
    { kind: "idle connections", connections: 3_000, seconds },
    { kind: "slow bodies", connections: 1_000, seconds },
    // Longer than the service's 5 s for headers and 10 s for a request, so that they are seen to end.
    { kind: "slow headers", connections: 500, seconds: Math.max(seconds, 14) },
    { kind: "endless headers", connections: 100, seconds },
    {
      kind: "large bodies held open",
      connections: 300,
      seconds: Math.max(seconds, 24),
    },
    { kind: "huge bodies declared", connections: 300, seconds },
    { kind: "tiny chunks", connections: 200, seconds },
    { kind: "answers never read", connections: 200, seconds },
  ];
  for (const attack of holders) {
    if (!isWanted(attack.kind)) continue;
    const { success, outcomes } = await underAttack(attack.kind, [attack]);
    verdict.check(
      success >= 0.99,
      `${attack.kind}: genuine requests get through (${(success * 100).toFixed(1)} %)`,
    );
    const took = outcomes.reduce(
      (total, { accepted }) => total + accepted.length,
      0,
    );
    verdict.check(
      took === 0,
      `${attack.kind}: nothing of it is taken in (${String(took)})`,
    );
  }
  if (isWanted("all of these at once")) {
    const { success } = await underAttack(
      "all of these at once",
      holders.map((a) => ({ ...a, connections: Math.ceil(a.connections / 2) })),
    );
    verdict.check(
      success >= 0.95,
      `all of these at once: genuine requests get through (${(success * 100).toFixed(1)} %)`,
    );
  }
  if (isWanted("more slow bodies than places")) {
    // 4,000 is the limit of small bodies in flight; the slowest give way to who comes then.
    const { success, answers } = await underAttack(
      "more slow bodies than places",
      [
        {
          kind: "slow bodies",
          connections: 4_200,
          seconds: Math.max(seconds, 15),
        },
      ],
    );
    verdict.check(
      success >= 0.9,
      `more slow bodies than places: genuine requests get through (${(success * 100).toFixed(1)} %, ${JSON.stringify(answers)})`,
    );
  }
  if (options.connections > 0 && isWanted("more connections than places")) {
    const { outcomes, answers } = await underAttack(
      "more connections than places",
      [
        {
          kind: "idle connections",
          connections: options.connections,
          seconds: Math.max(seconds, 15),
        },
      ],
    );
    verdict.check(
      (outcomes[0]?.answers["closed"] ?? 0) > 0,
      `more connections than places: what is beyond is closed (genuine sender: ${JSON.stringify(answers)})`,
    );
  }

  const waiting = await waitUntilApplied(system, 120_000);
  const states = await system.rows(
    "select state, count(*)::int as count from webhook_events group by state",
  );
  const ids = [...acknowledged];
  const missing = await system.rows(
    "select count(*)::int as count from unnest($1::text[]) as id where not exists (select from webhook_events e where e.event_id = id and e.state = 'processed')",
    [ids],
  );
  const metrics = await readMetrics(system.port);
  process.stdout.write(`\n${formatTable(table)}\n\n`);
  process.stdout.write(
    `       idle ${idle.toFixed(0)} MiB, at most ${peakResidentMiB(system.pid).toFixed(0)} MiB, at the end ${residentMiB(system.pid).toFixed(0)} MiB; inbox ${JSON.stringify(states)}\n`,
  );
  verdict.check(
    waiting === 0,
    `everything accepted was applied (${String(waiting)} wait)`,
  );
  verdict.check(
    missing[0]?.count === 0,
    `every one of ${String(ids.length)} events acknowledged is stored and processed (${String(missing[0]?.count)} are not)`,
  );
  verdict.check(
    metrics.has("nodejs_eventloop_lag_p99_seconds"),
    `the event loop's delay is exported (${highestLagMs.toFixed(0)} ms at most)`,
  );
} finally {
  agent.destroy();
  await system.stop();
}
verdict.finish();
process.exit();
