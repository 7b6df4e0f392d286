import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { migrate } from "../../db/migrate.ts";
import type { EmbeddedPostgres } from "../../dev/embedded-postgres/embedded-postgres.ts";
import { startEmbeddedPostgres } from "../../dev/embedded-postgres/embedded-postgres.ts";
import { reconcileEvents } from "../../src/apply-events.ts";
import { recordEvents } from "../../src/store/inbox.ts";
import { takeStalledEvents } from "../../src/store/waiting-events.ts";
import { aStatusUpdate } from "../support/deliveries.ts";
import type { TestStore } from "../support/store.ts";
import { inboxEntryOf, openStore, reconcileOptions } from "../support/store.ts";

let dataDir: string;
let postgres: EmbeddedPostgres;
let store: TestStore;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "uqpay-lost-commit-"));
  await start();
  await migrate(store.db);
}, 60_000);

afterAll(async () => {
  await store.close();
  await postgres.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(): Promise<void> {
  postgres = await startEmbeddedPostgres({
    dataDir,
    durable: true,
    // What nobody waits for reaches the disk only after 10 s: a crash before that takes it.
    settings: { wal_writer_delay: "10s" },
  });
  store = openStore(postgres.url("postgres"));
}

/** Immediate shutdown: what is not on the disk is lost, and recovery follows. */
async function crash(): Promise<void> {
  const file = join(dataDir, "cluster", "postmaster.pid");
  process.kill(Number(readFileSync(file, "utf8").split("\n")[0]), "SIGQUIT");
  await store.close();
  await postgres.stop();
}

async function rows(): Promise<unknown> {
  const { rows } = await store.pool.query(
    `select event.state, card.card_status
     from webhook_events event left join cards card using (card_id)`,
  );
  return rows;
}

test("what was applied and lost in a crash of PostgreSQL waits again, and is applied again", async () => {
  const event = aStatusUpdate({ card_status: "FROZEN" });
  await recordEvents(store.db, [inboxEntryOf(event)]);
  await reconcileEvents([event.event_id], reconcileOptions(store.db));
  expect(await rows()).toEqual([{ state: "processed", card_status: "FROZEN" }]);

  await crash();
  await start();

  expect(await rows()).toEqual([{ state: "received", card_status: null }]);
  const found = await takeStalledEvents(store.db, 0, undefined, 10);
  expect(found).toMatchObject([{ eventId: event.event_id }]);
  await reconcileEvents([event.event_id], reconcileOptions(store.db));
  expect(await rows()).toEqual([{ state: "processed", card_status: "FROZEN" }]);
}, 60_000);
