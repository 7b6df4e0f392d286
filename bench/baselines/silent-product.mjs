// Baseline S: the product's API without logs, metrics and the headers that nobody needs (Date, Keep-Alive). What the
// product answers in a second beside it says what they cost.
import { Router } from "express";
import { loadConfig } from "../../dist/src/config.js";
import { createApp } from "../../dist/src/http/app.js";
import { listen } from "../../dist/src/http/server.js";
import { webhookRoute } from "../../dist/src/http/webhook-route.js";
import { createHints } from "../../dist/src/queue/hints.js";
import { createEventQueue } from "../../dist/src/queue/event-queue.js";
import { createWebhookReceiver } from "../../dist/src/receive-webhook.js";
import { queueConnection } from "../../dist/src/service.js";
import { createPool } from "../../dist/src/store/database.js";
import { isDataFault } from "../../dist/src/store/errors.js";
import { findCopies, recordEvents } from "../../dist/src/store/inbox.js";
import { tuneV8 } from "../../dist/src/tune-v8.js";

tuneV8();
const nothing = () => undefined;
const config = loadConfig(process.env);
const url = config.postgres.url ?? "";
const pool = createPool({
  url,
  maxConnections: config.postgres.maxConnections,
  queryTimeoutMs: 5_000,
  applicationName: "silent product",
  onError: nothing,
});
const queue = createEventQueue(queueConnection(config, url), {
  log: { warn: nothing },
});
const hints = createHints({
  enqueue: (hint) => queue.enqueue(hint),
  oldestWaitingAt: () => queue.oldestWaitingAt(),
  onLost: nothing,
});
const receiver = createWebhookReceiver({
  rules: config.webhook,
  nowMs: Date.now,
  record: (entries) => recordEvents(pool, entries),
  findCopies: (entries) => findCopies(pool, entries),
  onVerified: nothing,
  onBatch: nothing,
  quarantine: async () => undefined,
  onRefused: nothing,
  onRecorded: (events) => {
    setImmediate(() => {
      hints.place(events);
    });
  },
  onUnreadable: nothing,
  isItemFault: isDataFault,
});
const withoutHeaders = Router().use((_request, response, next) => {
  response.sendDate = false;
  // Node's own field for `Keep-Alive: timeout=65`: to set a header instead would cost more than it saves.
  /** @type {any} */ (response)._keepAliveTimeout = 0;
  next();
});
const webhook = webhookRoute({
  receive: receiver.receive,
  allowedAddresses: undefined,
  trustedProxies: undefined,
  metrics: { answered: nothing },
  onRefused: nothing,
  onUnavailable: nothing,
});
const { host, port } = config.http;
const server = await listen(
  createApp([withoutHeaders, webhook], nothing),
  host,
  port,
);
process.stdout.write(
  `${JSON.stringify({ port: server.port, msg: "listening" })}\n`,
);
process.once("SIGTERM", () => process.exit());
