import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "./config.ts";
import { runDemo } from "./demo/run-demo.ts";
import { createLogger } from "./logger.ts";
import { startServer } from "./serve.ts";

const folder = await mkdtemp(join(tmpdir(), "uqpay-card-sync-demo-"));
const config = loadConfig({
  PORT: "0",
  LOG_LEVEL: "silent",
  REQUEUE_PERIOD_MS: "1000",
});
const server = await startServer(config, createLogger(config.logLevel), folder);
try {
  const differences = await runDemo({
    url: `http://127.0.0.1:${String(server.service.port)}/webhooks/uqpay`,
    databaseUrl: server.databaseUrl,
    secret: config.webhook.secrets[0] ?? "",
    write: (text) => process.stdout.write(text),
  });
  process.exitCode = differences === 0 ? 0 : 1;
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
