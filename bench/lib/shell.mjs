// The product's shell (server, middleware, verification, decoding, log, metrics) around another way to record.
import { createBatchLog } from "../../dist/src/process/batch-log.js";
import { loadConfig } from "../../dist/src/config.js";
import { createApp } from "../../dist/src/http/app.js";
import { listen } from "../../dist/src/http/server.js";
import { webhookRoute } from "../../dist/src/http/webhook-route.js";
import { createLogger } from "../../dist/src/process/logger.js";
import { createMetrics } from "../../dist/src/metrics.js";
import { createWebhookReceiver } from "../../dist/src/receive-webhook.js";
import { tuneV8 } from "../../dist/src/tune-v8.js";

/** @param {import("../../src/receive-webhook.ts").ReceiveOptions["record"]} record */
export async function startShell(record) {
  tuneV8();
  const config = loadConfig(process.env);
  const log = createLogger(config.logLevel);
  const metrics = createMetrics(
    {
      oldestWaitingSeconds: async () => 0,
      openQuarantine: async () => new Map(),
    },
    {
      version: "bench",
      kinds: [],
      reasons: [],
      secrets: config.webhook.secrets.length,
      unreadableFields: [],
    },
  );
  const recordedLog = createBatchLog((line) => {
    log.info(line, "events recorded");
  });
  const receiver = createWebhookReceiver({
    rules: config.webhook,
    nowMs: Date.now,
    record,
    findCopies: async (entries) => entries.map(() => undefined),
    onBatch: (results, durationMs) => {
      recordedLog.add({ recorded: results.length }, durationMs);
    },
    quarantine: async () => undefined,
    onRecorded: () => undefined,
    onUnreadable: () => undefined,
    onVerified: () => undefined,
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
    createApp([webhook], () => undefined),
    host,
    port,
  );
  log.info({ port: server.port }, "listening");
  process.once("SIGTERM", () => process.exit());
}
