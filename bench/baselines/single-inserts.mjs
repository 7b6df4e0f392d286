// Baseline F: one row and one commit at a time, by as many clients as connections. With one client its median is the
// commit floor: what no durable answer can be faster than. `anyTimeP99Ms` is the open loop's floor: the commits alone, as
// felt by who comes at any time. A disk that stands still for 0.1 s once a second is in it, and is 1 commit of 1,000.
//
//   node single-inserts.mjs '{"databaseUrl":"postgres://…","clients":32,"seconds":10}'
import { createHash } from "node:crypto";
import pg from "pg";
import { quantile, waitAtAnyTime } from "../../scripts/measuring/numbers.mjs";
import { makeEvent } from "../lib/events.mjs";

const { databaseUrl, clients, seconds, warmUpSeconds } = JSON.parse(
  process.argv[2] ?? "",
);

/** The same columns as the product's, so that the row and its indexes are the same. */
const INSERT = `
  insert into webhook_events
    (event_id, event_type, event_name, version, source_id, card_id, body, body_sha256, signed_at, state)
  values ($1, $2, 'ISSUING', 'V1.6.0', $1, $3, $4, $5, $6, 'received')
  on conflict (event_id) do nothing`;

/** @type {number[]} */
let latencies = [];
let until = 0;

const connected = await Promise.all(
  Array.from({ length: clients }, async () => {
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    return client;
  }),
);
await insertFor(warmUpSeconds);
const inserted = latencies.length;
latencies = [];
const startedAt = performance.now();
await insertFor(seconds);
const measured = (performance.now() - startedAt) / 1000;
await Promise.all(connected.map((client) => client.end()));
process.stdout.write(
  `RESULT ${JSON.stringify({
    seconds: measured,
    requests: latencies.length,
    warmUps: inserted,
    refused: 0,
    failed: 0,
    exhausted: 0,
    p50Ms: quantile(latencies, 0.5),
    p90Ms: quantile(latencies, 0.9),
    p99Ms: quantile(latencies, 0.99),
    maxMs: latencies.reduce((most, value) => Math.max(most, value), 0),
    ...(clients === 1 && { anyTimeP99Ms: waitAtAnyTime(latencies, 0.99) }),
  })}\n`,
);

/** @param {number} duration in seconds */
async function insertFor(duration) {
  until = performance.now() + duration * 1000;
  await Promise.all(connected.map(insertInTurn));
}

/** @param {pg.Client} client */
async function insertInTurn(client) {
  while (performance.now() < until) {
    const { eventId, eventType, cardId, body } = makeEvent();
    const values = [
      eventId,
      eventType,
      cardId,
      body,
      createHash("sha256").update(body).digest(),
      new Date(),
    ];
    const sentAt = performance.now();
    await client.query({ name: "insert-event", text: INSERT, values });
    latencies.push(performance.now() - sentAt);
  }
}
