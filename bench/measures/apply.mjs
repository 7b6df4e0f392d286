// What applying an event costs as the tables, the cards and their lists grow: the use case alone, in this process.
import { createHash } from "node:crypto";
import { performance } from "node:perf_hooks";
import { noCheckpoint } from "../../dist/src/process/checkpoint.js";
import { instantFromEpochMs } from "../../dist/src/domain/instant.js";
import { reconcileEvents } from "../../dist/src/apply-events.js";
import { createDatabase, createPool } from "../../dist/src/store/database.js";
import { recordEvents } from "../../dist/src/store/inbox.js";
import { createTurns } from "../../dist/src/process/take-turns.js";
import { median } from "../../scripts/measuring/numbers.mjs";
import { makeEvent } from "../lib/events.mjs";
import { readMachine, stealSince } from "../lib/machine.mjs";
import { reconcileOptions } from "../lib/reconcile-options.mjs";

/** @typedef {import("./cell.mjs").Cell} Cell */

/**
 * @typedef {object} World
 * @property {number} [otherCards] that are known and get no event
 * @property {number} [earlierEvents] about the same cards, all applied
 * @property {number} [quarantined] open entries of the quarantine
 * @property {number} [codes] merchant category codes in the list of every card update
 */

const BATCH = 200;
const WARM_UP_BATCHES = 20;
const BATCHES = 30;

/** @param {World} world @returns {Cell} */
export function apply(world) {
  return {
    key: `applied with ${describeWorld(world)}`,
    run: async ({ environment }) => {
      const database = await environment.freshDatabase();
      const pool = createPool({
        url: database.url,
        maxConnections: 2,
        queryTimeoutMs: 600_000,
        applicationName: "benchmark",
        looksUpOnly: true,
        onError: () => undefined,
      });
      try {
        await fill(database, world);
        const batches = await record(pool, world);
        const machine = readMachine();
        const times = await timeBatches(createDatabase(pool), batches);
        return {
          applyUs: (median(times.slice(WARM_UP_BATCHES)) / BATCH) * 1000,
          steal: stealSince(machine),
          problems: [],
        };
      } finally {
        await pool.end();
        await database.drop();
      }
    },
  };
}

/** @param {World} world */
export function describeWorld(world) {
  const parts = Object.entries(world).map(
    ([name, count]) =>
      `${count.toLocaleString("en")} ${name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)}`,
  );
  return parts.length === 0 ? "nothing else" : parts.join(", ");
}

/** @param {import("../lib/environment.mjs").Database} database @param {World} world */
async function fill(
  database,
  { otherCards = 0, earlierEvents = 0, quarantined = 0 },
) {
  await database.rows(
    `insert into cards (card_id, card_status, cardholder_id, first_seen_at, last_event_id, last_event_at, field_clocks)
     select gen_random_uuid()::text, 'ACTIVE', gen_random_uuid()::text, now(), '', now(), '[]'
     from generate_series(1, $1::int)`,
    [otherCards],
  );
  const { cardId, body } = makeEvent();
  await database.rows(
    `insert into webhook_events
       (event_id, event_type, card_id, body, body_sha256, signed_at, state, attempts, processed_at)
     select gen_random_uuid()::text, 'card.update.succeeded', $2, $3, sha256(''), now(), 'processed', 1, now()
     from generate_series(1, $1::int)`,
    [earlierEvents, cardId, body],
  );
  await database.rows(
    `insert into quarantined_events (reason, body_sha256)
     select 'invalid_json', sha256(n::text::bytea) from generate_series(1, $1::int) n`,
    [quarantined],
  );
  await database.rows("vacuum analyze");
  await database.rows("checkpoint");
}

/** @param {import("pg").Pool} pool @param {World} world @returns {Promise<string[][]>} ids of events */
async function record(pool, { codes }) {
  const batches = [];
  for (let count = 0; count < WARM_UP_BATCHES + BATCHES; count++) {
    const events = Array.from({ length: BATCH }, () => makeEvent({ codes }));
    await recordEvents(
      pool,
      events.map(({ eventId, eventType, cardId, body }) => ({
        eventId,
        eventType,
        eventName: "ISSUING",
        version: "V1.6.0",
        sourceId: undefined,
        cardId,
        body,
        bodySha256: createHash("sha256").update(body).digest(),
        signedAt: instantFromEpochMs(Date.now()),
        state: /** @type {const} */ ("received"),
      })),
    );
    batches.push(events.map(({ eventId }) => eventId));
  }
  return batches;
}

/** @param {import("../../dist/src/store/database.js").Database} db @param {string[][]} batches */
async function timeBatches(db, batches) {
  const options = reconcileOptions(db, {
    checkpoint: noCheckpoint,
    turns: createTurns(),
  });
  const times = [];
  for (const ids of batches) {
    const startedAt = performance.now();
    const { reconciled } = await reconcileEvents(ids, options);
    times.push(performance.now() - startedAt);
    if (reconciled.length < ids.length)
      throw new Error("not every event was applied");
  }
  return times;
}
