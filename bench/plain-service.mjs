// The plain service: each request verifies, inserts its row and adds its job, then answers; each job is a transaction. It
// writes to the tables of this build, so that both end with the same rows.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { Queue, Worker, createPostgresBackend, withBackend } from "bullmq";
import express from "express";
import { Redis } from "ioredis";
import pg from "pg";
import { applyEvent } from "./plain-worker.mjs";

const {
  ROLE = "all",
  DATABASE_URL,
  REDIS_URL,
  UQPAY_WEBHOOK_SECRET: SECRET = "",
} = process.env;
const POOL_SIZE = 20;
const CONCURRENCY = 16;
const TOLERANCE_MS = 300_000;

const pool = new pg.Pool({ connectionString: DATABASE_URL, max: POOL_SIZE });

/** @returns {{ queue: Queue, startWorker: () => Worker }} */
function openQueue() {
  const name = "plain-events";
  /** @param {import("bullmq").Job} job */
  const work = (job) => applyEvent(pool, job.data.eventId);
  if (REDIS_URL !== undefined) {
    const connection = new Redis(REDIS_URL, { maxRetriesPerRequest: null });
    return {
      queue: new Queue(name, { connection }),
      startWorker: () =>
        new Worker(name, work, {
          connection: connection.duplicate(),
          concurrency: CONCURRENCY,
        }),
    };
  }
  const backend = withBackend(createPostgresBackend);
  const connection = {
    connectionString: DATABASE_URL,
    schema: "bullmq",
    max: POOL_SIZE,
  };
  return {
    queue: new backend.Queue(name, { connection }),
    startWorker: () =>
      new backend.Worker(name, work, { connection, concurrency: CONCURRENCY }),
  };
}

const { queue, startWorker } = openQueue();
if (ROLE !== "api") startWorker().on("error", reportError);

const app = express();
app.post(
  "/webhooks/uqpay",
  express.raw({ type: "application/json", limit: "256kb" }),
  async (request, response) => {
    const timestamp = request.get("x-wk-timestamp") ?? "";
    const signature = request.get("x-wk-signature") ?? "";
    if (!isGenuine(request.body, timestamp, signature)) {
      response.status(401).json({ error: { code: "invalid_signature" } });
      return;
    }
    const event = JSON.parse(request.body.toString("utf8"));
    const isNew = await insert(event, request.body, timestamp);
    if (isNew)
      await queue.add(
        event.event_type,
        { eventId: event.event_id },
        { attempts: 8, removeOnComplete: true, removeOnFail: 1_000 },
      );
    const status = isNew ? "accepted" : "duplicate";
    response.json({ status, event_id: event.event_id });
  },
);

/** @param {Buffer} body @param {string} timestamp @param {string} signature */
function isGenuine(body, timestamp, signature) {
  const right = createHmac("sha512", SECRET)
    .update(body)
    .update(timestamp)
    .digest();
  const claimed = Buffer.from(signature, "hex");
  return (
    claimed.length === right.length &&
    timingSafeEqual(claimed, right) &&
    Math.abs(Date.now() - Number(timestamp)) <= TOLERANCE_MS
  );
}

/** @param {Record<string, any>} event @param {Buffer} body @param {string} timestamp */
async function insert(event, body, timestamp) {
  const { rowCount } = await pool.query({
    name: "insert-event",
    text: `
      insert into webhook_events
        (event_id, event_type, event_name, version, source_id, card_id, body, body_sha256, signed_at, state)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'received')
      on conflict (event_id) do nothing`,
    values: [
      event.event_id,
      event.event_type,
      event.event_name,
      event.version,
      event.source_id,
      event.data.card_id,
      body.toString("utf8"),
      createHash("sha256").update(body).digest(),
      new Date(Number(timestamp)),
    ],
  });
  return rowCount === 1;
}

/** @param {Error} error */
function reportError(error) {
  process.stderr.write(`${error.message}\n`);
}

const server = app.listen(0, "127.0.0.1", () => {
  const { port } = /** @type {import("node:net").AddressInfo} */ (
    server.address()
  );
  process.stdout.write(`${JSON.stringify({ port, msg: "listening" })}\n`);
});
process.once("SIGTERM", () => process.exit());
