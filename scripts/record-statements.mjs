// Records what a released version says to PostgreSQL while it takes in and applies some events, for
// test/e2e/upgrade.test.ts, which says the same while the migrations of this version apply. To be run once for each
// release, after it, by what was released:
//
//   node scripts/record-statements.mjs <its folder, built> > test/fixtures/upgrade/previous-version.json
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const SECRET = "whsec_recorded";
/** Longer than an event takes to be applied. */
const PAUSE_MS = 700;

const dist = join(resolve(process.argv[2] ?? "."), "dist");
const load = (path) => import(pathToFileURL(join(dist, path)).href);
const pg = createRequire(join(dist, "src/main.js"))("pg");

const statements = [];
let isRecording = false;
const query = pg.Client.prototype.query;
pg.Client.prototype.query = function (...args) {
  const [config, values] = args;
  const text = typeof config === "string" ? config : config.text;
  const parameters =
    (typeof config === "string" ? values : config.values) ?? [];
  const by = this.connectionParameters.application_name;
  if (isRecording && by.startsWith("uqpay-card-sync"))
    statements.push({ text, values: [...parameters].map(write) });
  return query.apply(this, args);
};

function write(value) {
  return Buffer.isBuffer(value) ? { base64: value.toString("base64") } : value;
}

const { startEmbeddedPostgres } = await load(
  "dev/embedded-postgres/embedded-postgres.js",
);
const { loadConfig } = await load("src/config.js");
const { createLogger } = await load("src/process/logger.js");
const { startServer } = await load("src/roles/start-server.js");
const { sign } = await load("src/uqpay/signature.js");

const folder = mkdtempSync(join(tmpdir(), "uqpay-record-"));
const postgres = await startEmbeddedPostgres({
  dataDir: join(folder, "postgres"),
  durable: false,
});
const environment = {
  DATABASE_URL: postgres.url(),
  UQPAY_WEBHOOK_SECRET: SECRET,
  PORT: "0",
  // Its statements come when they come.
  REQUEUE_PERIOD_MS: "60000",
};
const server = await startServer(
  loadConfig(environment),
  createLogger("silent"),
  folder,
);

const CARD = { card_id: "CARD-1", card_number: "40963608****8664" };
const TIME = "2026-04-12T10:00:00+08:00";
// Ids of one length, so that a test can put others in their place: some stand in arrays in PostgreSQL's binary form.
const EVENTS = [
  event(1, "card.status.update.succeeded", {
    ...CARD,
    card_status: "FROZEN",
    update_time: TIME,
  }),
  event(2, "card.update.succeeded", {
    ...CARD,
    card_status: "ACTIVE",
    card_limit: "100.00",
    available_balance: "90.10",
    metadata: { a: "b" },
    risk_control: { allow_3ds_transactions: "Y", allowed_mcc: ["5999"] },
  }),
  event(3, "issuing.transaction.authorization", {
    ...CARD,
    transaction_id: "TRANSACTION-1",
    transaction_status: "DECLINED",
    description: "MCC not allowed",
    billing_amount: "1.00",
    billing_currency: "USD",
    transaction_time: TIME,
    merchant_data: { merchant_category_code: "5999" },
  }),
  // Another content under a known id, and no event at all: both go to the quarantine.
  event(1, "card.status.update.succeeded", {
    ...CARD,
    card_status: "ACTIVE",
    update_time: TIME,
  }),
  "no JSON",
];

function event(number, type, data) {
  return JSON.stringify({
    version: "V1.6.0",
    event_name: "ISSUING",
    event_type: type,
    event_id: `EVENT-${number}`,
    source_id: `SOURCE-${number}`,
    data,
  });
}

isRecording = true;
for (const body of EVENTS) {
  const timestamp = String(Date.now());
  await fetch(`http://127.0.0.1:${server.service.port}/webhooks/uqpay`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-wk-timestamp": timestamp,
      "x-wk-signature": sign(body, timestamp, SECRET),
    },
    body,
  });
  await sleep(PAUSE_MS);
}
isRecording = false;
await server.stop();

const client = new pg.Client({ connectionString: postgres.url() });
await client.connect();
const { rows } = await client.query(
  "select name from uqpay_card_sync_migrations.kysely_migration order by name",
);
await client.end();
await postgres.stop();
rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
const migrations = rows.map(({ name }) => name);
process.stdout.write(
  `${JSON.stringify({ migrations, statements }, null, 2)}\n`,
);
