// Soak: mixed traffic at a moderate rate for half an hour, and nothing may grow that should not.
//
//   npm run test:soak -- [--minutes 30] [--rate 100] [--queue redis|postgres] [--seed N]
//
// Samples every ten seconds. A quantity is flat when the line through its second half rises by less than its
// bound over that half; the first half is for caches, pools and just-in-time code to reach their size.
import { randomUUID } from "node:crypto";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { handledEventTypes } from "../../dist/src/uqpay/event-types/index.js";
import { post, readPayloads, signedHeaders } from "./deliveries.mjs";
import {
  Verdict,
  cpuSeconds,
  createRandom,
  floors,
  formatTable,
  openFiles,
  quantile,
  readMetrics,
  readOptions,
  residentMiB,
  rise,
  startSystem,
  waitUntilApplied,
} from "./system.mjs";

const options = readOptions({
  minutes: 30,
  rate: 100,
  queue: "redis",
  seed: Date.now() % 1_000_000,
  period: 10,
});
/** So many cards get all the events: their rows change, their number does not. */
const CARDS = 1_000;
const TICK_MS = 20;
/** Beyond so many unanswered requests the sender leaves requests out, and says so. */
const MOST_OPEN = 500;

const random = createRandom(options.seed);
/** @template T @param {readonly T[]} list @returns {T} */
const pick = (list) =>
  /** @type {T} */ (list[Math.floor(random() * list.length)]);
const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
const payloads = readPayloads();
/** Those that change rows; UQPAY's traffic is mostly of these. */
const applied = payloads.filter(({ value }) =>
  handledEventTypes.includes(value.event_type),
);
const cards = Array.from({ length: CARDS }, () => randomUUID());
/** @type {Buffer[]} The latest that were accepted, to be delivered again. */
const recent = [];
/** @type {Record<string, number>} */
const answers = {};
let latencies = /** @type {number[]} */ ([]);
let open = 0;
let leftOut = 0;
/** Accepted for the first time, so that the inbox must hold exactly so many. */
let stored = 0;

/** Each kind of delivery and how many of a hundred are of it. */
const KINDS = /** @type {const} */ ([
  ["fresh", 78],
  ["duplicate", 6],
  ["conflict", 2],
  ["malformed", 3],
  ["not-json", 1],
  ["forged", 5],
  ["stale", 3],
  ["unsigned", 2],
]);

/** @param {number} port */
async function deliverOne(port) {
  const kind = pickKind();
  const { body, headers } = makeDelivery(kind);
  open++;
  const startedAt = performance.now();
  try {
    const answer = await post({ port, agent, headers, body });
    latencies.push(performance.now() - startedAt);
    const { status, error } = JSON.parse(answer.text);
    const outcome = `${kind}: ${String(answer.status)} ${status ?? error.code}`;
    answers[outcome] = (answers[outcome] ?? 0) + 1;
    if (status === "accepted" || status === "ignored") {
      stored++;
      recent.push(body);
      if (recent.length > 1_000) recent.shift();
    }
  } catch (error) {
    const outcome = `${kind}: ${/** @type {Error} */ (error).message}`;
    answers[outcome] = (answers[outcome] ?? 0) + 1;
  } finally {
    open--;
  }
}

function pickKind() {
  let at = random() * 100;
  return KINDS.find(([, share]) => (at -= share) < 0)?.[0] ?? "fresh";
}

/** @param {(typeof KINDS)[number][0]} kind */
function makeDelivery(kind) {
  const body = makeBody(kind);
  switch (kind) {
    case "forged":
      return { body, headers: signedHeaders(body, { secret: "whsec_wrong" }) };
    case "unsigned":
      return { body, headers: { "content-type": "application/json" } };
    case "stale": {
      const timestamp = String(Date.now() - 3_600_000);
      return { body, headers: signedHeaders(body, { timestamp }) };
    }
    default:
      return { body, headers: signedHeaders(body) };
  }
}

/** @param {(typeof KINDS)[number][0]} kind */
function makeBody(kind) {
  if (kind === "duplicate" && recent.length > 0) return pick(recent);
  const { value } = pick(random() < 0.7 ? applied : payloads);
  const event = { ...value, event_id: randomUUID(), source_id: randomUUID() };
  event.data = {
    ...value.data,
    card_id: kind === "malformed" ? null : pick(cards),
  };
  if ("transaction_id" in event.data) event.data.transaction_id = randomUUID();
  if ("update_time" in event.data)
    event.data.update_time = new Date().toISOString();
  if (kind === "conflict" && recent.length > 0)
    event.event_id = JSON.parse(pick(recent).toString("utf8")).event_id;
  const text = JSON.stringify(event);
  return Buffer.from(kind === "not-json" ? text.slice(0, -1) : text);
}

/** Offers the rate whether or not the service keeps up. @param {number} port @param {number} untilMs */
async function offer(port, untilMs) {
  const startedAt = performance.now();
  let offered = 0;
  while (performance.now() < untilMs) {
    const due = ((performance.now() - startedAt) / 1000) * options.rate;
    for (; offered < due; offered++) {
      if (open < MOST_OPEN) void deliverOne(port);
      else leftOut++;
    }
    await sleep(TICK_MS);
  }
}

const RELATIONS = `
  select n.nspname || '.' || c.relname as name,
         pg_total_relation_size(c.oid)::float8 / 1048576 as mib,
         pg_relation_size(c.oid)::float8 / 1048576 as heap_mib,
         coalesce(s.n_live_tup, 0)::float8 as live,
         coalesce(s.n_dead_tup, 0)::float8 as dead,
         coalesce(s.n_tup_upd, 0)::float8 as updates,
         coalesce(s.n_tup_hot_upd, 0)::float8 as hot_updates,
         coalesce(s.autovacuum_count, 0)::int as vacuums
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_stat_all_tables s on s.relid = c.oid
  where c.relkind = 'r'
    and (n.nspname in ('public', 'bullmq')
         or c.relname in ('pg_class', 'pg_attribute', 'pg_type', 'pg_depend'))
    and n.nspname not like 'pg_temp%'`;

/** @param {import("./system.mjs").System} system @param {number} minute */
async function takeSample(system, minute) {
  const [metrics, relations, [connections], info, keys] = await Promise.all([
    readMetrics(system.port),
    system.rows(RELATIONS),
    system.rows(
      "select count(*)::int as count from pg_stat_activity where backend_type = 'client backend' and application_name <> 'load test'",
    ),
    system.redis?.info("memory"),
    system.redis?.dbsize(),
  ]);
  const inbox = await system.rows(
    "select count(*)::int as count, count(*) filter (where state = 'received')::int as waiting from webhook_events",
  );
  const of = (/** @type {RegExp} */ pattern) =>
    relations.filter(({ name }) => pattern.test(name));
  const events = Math.max(1, inbox[0]?.count ?? 0);
  const taken = latencies;
  latencies = [];
  return {
    relations,
    figures: {
      minute,
      events,
      waiting: inbox[0]?.waiting ?? 0,
      rssMiB: residentMiB(system.pid),
      heapMiB: (metrics.get("nodejs_heap_size_used_bytes") ?? NaN) / 1_048_576,
      files: openFiles(system.pid),
      pgConns: connections?.count ?? 0,
      publicBytesPerEvent: (sum(of(/^public/), "mib") * 1_048_576) / events,
      deadPerEvent: sum(of(/^public/), "dead") / events,
      bullmqMiB: sum(of(/^bullmq/), "mib"),
      catalogMiB: sum(of(/^pg_catalog/), "mib"),
      redisMiB:
        Number(/used_memory:(\d+)/.exec(info ?? "")?.[1] ?? 0) / 1_048_576,
      redisKeys: keys ?? 0,
      p50ms: quantile(taken, 0.5),
      p99ms: quantile(taken, 0.99),
      loopP99ms:
        (metrics.get("nodejs_eventloop_lag_p99_seconds") ?? NaN) * 1000,
      cpuS: cpuSeconds(system.pid),
    },
  };
}

/** @param {readonly Record<string, any>[]} rows @param {string} name @returns {number} */
function sum(rows, name) {
  return rows.reduce((total, row) => total + row[name], 0);
}

/** @param {readonly Awaited<ReturnType<typeof takeSample>>["figures"][]} samples @param {Verdict} verdict */
function judgeFlatness(samples, verdict) {
  const half = samples.slice(Math.floor(samples.length / 2));
  /** @type {readonly [keyof (typeof half)[0], number, number, "floor" | "all"][]} name, share of its mean, absolute */
  const bounds = [
    ["rssMiB", 0.08, 10, "floor"],
    ["heapMiB", 0.08, 5, "floor"],
    ["files", 0.05, 5, "all"],
    ["pgConns", 0.05, 2, "all"],
    ["redisMiB", 0.05, 1, "all"],
    ["redisKeys", 0.05, 5, "all"],
    ["bullmqMiB", 0.1, 1, "all"],
    ["catalogMiB", 0.1, 1, "all"],
    ["publicBytesPerEvent", 0.05, 0, "all"],
    ["deadPerEvent", 0, 0.15, "all"],
    ["waiting", 0, 100, "all"],
  ];
  for (const [name, share, least, how] of bounds) {
    const all = half
      .map((sample) => sample[name])
      .filter((v) => !Number.isNaN(v));
    const values = how === "floor" ? floors(all) : all;
    const mean =
      values.reduce((total, value) => total + value, 0) / values.length;
    const risen = rise(values);
    const bound = Math.max(least, mean * share);
    verdict.check(
      values.length > 0 && risen < bound,
      `${name} is flat: ${mean.toFixed(2)} on average, ${risen >= 0 ? "+" : ""}${risen.toFixed(2)} over the second half (bound ${bound.toFixed(2)})`,
    );
  }
}

const { queue } = options;
if (queue !== "redis" && queue !== "postgres")
  throw new Error("--queue is redis or postgres");
process.stdout.write(`soak: ${JSON.stringify(options)}\n`);
const system = await startSystem({ queue });
const verdict = new Verdict();
try {
  const startedAt = performance.now();
  const untilMs = startedAt + options.minutes * 60_000;
  const offering = offer(system.port, untilMs);
  const samples = [];
  /** @type {Record<string, any>[]} */
  let relations = [];
  for (let at = startedAt; at < untilMs;) {
    at += options.period * 1000;
    await sleep(Math.max(0, at - performance.now()));
    if (system.ended() !== undefined) break;
    const sample = await takeSample(
      system,
      (performance.now() - startedAt) / 60_000,
    );
    ({ relations } = sample);
    samples.push(sample.figures);
    const lines = formatTable([sample.figures]).split("\n");
    process.stdout.write(
      `${samples.length % 20 === 1 ? `${lines[0] ?? ""}\n` : ""}${lines[1] ?? ""}\n`,
    );
  }
  await offering;
  const waiting = await waitUntilApplied(system, 30_000);
  const [inbox] = await system.rows(
    "select count(*)::int as count, count(*) filter (where state = 'failed')::int as failed from webhook_events",
  );

  process.stdout.write(
    `\n${formatTable(samples)}\n\n${formatTable(relations)}\n\n`,
  );
  for (const [outcome, count] of Object.entries(answers).toSorted())
    process.stdout.write(`${String(count).padStart(9)}  ${outcome}\n`);
  process.stdout.write(
    `${String(leftOut).padStart(9)}  left out by the sender\n\n`,
  );

  verdict.check(
    system.ended() === undefined,
    `the service lives (${system.ended() ?? "yes"})`,
  );
  judgeFlatness(samples, verdict);
  verdict.check(waiting === 0, `nothing waits at the end (${String(waiting)})`);
  verdict.check(
    inbox?.failed === 0,
    `nothing failed (${String(inbox?.failed)})`,
  );
  verdict.check(
    inbox?.count === stored,
    `${String(stored)} were acknowledged for the first time, ${String(inbox?.count)} are in the inbox`,
  );
  verdict.check(
    !Object.keys(answers).some((outcome) => / 5\d\d /.test(outcome)),
    "no answer is 5xx",
  );
  verdict.check(
    system.errors.length === 0,
    `nothing was logged as an error (${JSON.stringify(system.errors.slice(0, 3))})`,
  );
} finally {
  agent.destroy();
  await system.stop();
}
verdict.finish();
