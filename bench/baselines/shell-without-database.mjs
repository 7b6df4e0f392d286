// Baseline A: the product's shell (server, middleware, verification, decoding, log, metrics) without the database. What
// the product answers in a second beside it says what durability costs.
import { setImmediate as nextTurn } from "node:timers/promises";
import { loadConfig } from "../../dist/src/config.js";
import { createApp } from "../../dist/src/http/app.js";
import { listen } from "../../dist/src/http/server.js";
import { webhookRoute } from "../../dist/src/http/webhook-route.js";
import { createLogger } from "../../dist/src/logger.js";
import { createMetrics } from "../../dist/src/metrics.js";
import { createWebhookReceiver } from "../../dist/src/receive-webhook.js";
import { tuneHeap } from "../../dist/src/tune-heap.js";

tuneHeap();
const config = loadConfig(process.env);
const log = createLogger(config.logLevel);
const metrics = createMetrics({
  oldestWaitingSeconds: async () => 0,
  openQuarantine: async () => new Map(),
});
const receiver = createWebhookReceiver({
  rules: config.webhook,
  nowMs: Date.now,
  record: async (entries) => {
    // What was read in one turn shares a line of the log, as it shares a commit in the product. One for each request
    // would make the baseline slower than it has to be.
    await nextTurn();
    log.info({ recorded: entries.length }, "events recorded");
    return entries.map(() => "recorded");
  },
  quarantine: async () => undefined,
  findDigest: async () => undefined,
  onRecorded: () => undefined,
  isItemFault: () => false,
});
const webhook = webhookRoute({
  receive: receiver.receive,
  allowedAddresses: undefined,
  metrics,
  onRefused: () => undefined,
  onUnavailable: () => undefined,
});
const { host, port } = config.http;
const server = await listen(
  createApp([webhook], () => undefined, undefined),
  host,
  port,
);
log.info({ port: server.port }, "listening");
process.once("SIGTERM", () => process.exit());
