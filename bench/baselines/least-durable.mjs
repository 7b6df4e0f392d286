// The least that can answer durably: node:http, the HMAC, JSON.parse, and the product's own batches. No Express, no
// validation, no limits, no metrics, no queue. What is beyond this no service with them reaches.
import { hash } from "node:crypto";
import { createServer } from "node:http";
import { createBatcher } from "../../dist/src/process/batcher.js";
import { instantFromEpochMs } from "../../dist/src/domain/instant.js";
import { recordEvents } from "../../dist/src/store/inbox.js";
import { tuneV8 } from "../../dist/src/tune-v8.js";
import { openPool } from "../lib/pool.mjs";
import { isGenuine } from "./is-genuine.mjs";

tuneV8();
const pool = openPool("least durable");
/** @type {import("../../src/process/batcher.ts").Batcher<import("../../src/store/inbox.ts").InboxEntry, string>} */
const inbox = createBatcher({
  flush: (entries) => recordEvents(pool, entries),
  maxBatch: 200,
  halveFrom: 8,
  maxWaiting: 2_000,
  isItemFault: () => false,
});

const server = createServer((request, response) => {
  /** @type {Buffer[]} */
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", async () => {
    const body = Buffer.concat(chunks);
    const timestamp = String(request.headers["x-wk-timestamp"]);
    const signature = String(request.headers["x-wk-signature"]);
    if (!isGenuine(body, timestamp, signature)) {
      response.writeHead(401).end();
      return;
    }
    const event = JSON.parse(body.toString("utf8"));
    await inbox.add({
      eventId: event.event_id,
      eventType: event.event_type,
      eventName: event.event_name,
      version: event.version,
      sourceId: event.source_id,
      cardId: event.data.card_id,
      body,
      bodySha256: hash("sha256", body, "buffer"),
      signedAt: instantFromEpochMs(Number(timestamp)),
      state: "received",
      issues: [],
    });
    const answer = JSON.stringify({
      status: "accepted",
      event_id: event.event_id,
    });
    response.writeHead(200, {
      "Content-Type": "application/json",
      "Content-Length": Buffer.byteLength(answer),
    });
    response.end(answer);
  });
});

server.listen(0, "127.0.0.1", () => {
  const { port } = /** @type {import("node:net").AddressInfo} */ (
    server.address()
  );
  process.stdout.write(`${JSON.stringify({ port, msg: "listening" })}\n`);
});
process.once("SIGTERM", () => process.exit());
