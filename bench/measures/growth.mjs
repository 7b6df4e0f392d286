// A large inbox: what is as fast after two million events as at the beginning.
import { performance } from "node:perf_hooks";
import { createDatabase, createPool } from "../../dist/src/store/database.js";
import { takeStalledEvents } from "../../dist/src/store/inbox.js";
import { median } from "../../scripts/measuring/numbers.mjs";
import { makeEvent } from "../lib/events.mjs";
import { readMachine, stealSince } from "../lib/machine.mjs";
import { runIngest } from "./ingest.mjs";

/** @typedef {import("../lib/environment.mjs").Database} Database */
/** @typedef {import("./cell.mjs").Cell} Cell */

/** Filled once and kept for all rounds: filling takes minutes. @type {Map<number, Promise<Database>>} */
const filled = new Map();

/** @param {import("../lib/environment.mjs").Environment} environment @param {number} rows */
function filledDatabase(environment, rows) {
  const known = filled.get(rows) ?? fill(environment, rows);
  filled.set(rows, known);
  return known;
}

/** Events of the last 90 days that were all applied. @param {import("../lib/environment.mjs").Environment} environment @param {number} rows */
async function fill(environment, rows) {
  const database = await environment.freshDatabase();
  const { eventType, body } = makeEvent();
  await database.rows(
    `insert into webhook_events
       (event_id, event_type, event_name, version, source_id, card_id, body, body_sha256, signed_at, received_at,
        state, attempts, processed_at)
     select id, $2, 'ISSUING', 'V1.6.0', id, md5((n % 5000)::text)::uuid::text, $3, sha256(id::bytea), at, at,
            'processed', 1, at
     from (
       select n, gen_random_uuid()::text as id, now() - interval '90 days' * (1 - n::float8 / $1::int) as at
       from generate_series(1, $1::int) as n
     ) events`,
    [rows, eventType, body],
  );
  await database.rows("vacuum analyze webhook_events");
  await database.rows("checkpoint");
  return database;
}

/**
 * @param {import("./cell.mjs").QueueKind} queue @param {number} rows @param {number} connections
 * @returns {Cell}
 */
export function ingestOnto(queue, rows, connections) {
  return {
    key: `product on ${String(rows)} rows`,
    run: async ({ environment, options }) => {
      const database = await filledDatabase(environment, rows);
      return runIngest(environment, options, {
        program: "product",
        queue,
        connections,
        database,
      });
    },
  };
}

/** As many as the service takes in one go (requeue-stalled). */
const SWEEP_BATCH = 200;
const GRACE_MS = 3_000;
const SWEEPS = 50;

/** The search for stalled events where there is none: what the service does every few seconds. @param {number} rows @returns {Cell} */
export function sweep(rows) {
  return {
    key: `sweep at ${String(rows)} rows`,
    run: async ({ environment }) => {
      const database = await filledDatabase(environment, rows);
      await settle(database);
      const machine = readMachine();
      const { times, taken } = await timeSweeps(database.url);
      return {
        // The first ones open the connection and read the pages.
        sweepMs: median(times.slice(-SWEEPS / 2)),
        steal: stealSince(machine),
        problems: taken > 0 ? [`${String(taken)} events were stalled`] : [],
      };
    },
  };
}

/** What `ingestOnto` recorded was for no worker. @param {Database} database */
async function settle(database) {
  await database.rows(
    "update webhook_events set state = 'processed', processed_at = now() where state = 'received'",
  );
  await database.rows("vacuum analyze webhook_events");
}

/** @param {string} url */
async function timeSweeps(url) {
  const db = createDatabase(
    createPool({
      url,
      maxConnections: 1,
      queryTimeoutMs: 60_000,
      applicationName: "benchmark",
      onError: () => undefined,
    }),
  );
  const times = [];
  let taken = 0;
  for (let count = 0; count < SWEEPS; count++) {
    const startedAt = performance.now();
    taken += (await takeStalledEvents(db, GRACE_MS, undefined, SWEEP_BATCH))
      .length;
    times.push(performance.now() - startedAt);
  }
  await db.destroy();
  return { times, taken };
}
