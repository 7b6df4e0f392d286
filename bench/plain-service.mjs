// The plain service: each request verifies, inserts its row and adds its job, then answers; each job is a transaction. It
// writes to the tables of this build, so that both end with the same rows.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import * as bullmq from "bullmq";
import express from "express";
import pg from "pg";
import { applyEvent, insert } from "./plain-worker.mjs";

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

const { Queue, Worker } =
  REDIS_URL === undefined
    ? bullmq.withBackend(bullmq.createPostgresBackend)
    : bullmq;
const connection =
  REDIS_URL === undefined
    ? { connectionString: DATABASE_URL, schema: "bullmq", max: POOL_SIZE }
    : { url: REDIS_URL, maxRetriesPerRequest: null };
const queue = new Queue("plain-events", { connection });
if (ROLE !== "api")
  new Worker("plain-events", (job) => applyEvent(pool, job.data.eventId), {
    connection,
    concurrency: CONCURRENCY,
  }).on("error", ({ message }) => process.stderr.write(`${message}\n`));

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
    const isNew = await record(event, request.body, timestamp);
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
async function record(event, body, timestamp) {
  const row = {
    event_id: event.event_id,
    event_type: event.event_type,
    event_name: event.event_name,
    version: event.version,
    source_id: event.source_id,
    card_id: event.data.card_id,
    body: body.toString("utf8"),
    body_sha256: createHash("sha256").update(body).digest(),
    signed_at: new Date(Number(timestamp)),
    state: "received",
  };
  const onConflict = "on conflict (event_id) do nothing";
  const { rowCount } = await insert(pool, "webhook_events", row, onConflict);
  return rowCount === 1;
}

const server = app.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  process.stdout.write(`${JSON.stringify({ port, msg: "listening" })}\n`);
});
process.once("SIGTERM", () => process.exit());
