import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "@jest/globals";
import type { EmbeddedPostgres } from "../../dev/embedded-postgres/embedded-postgres.ts";
import { startEmbeddedPostgres } from "../../dev/embedded-postgres/embedded-postgres.ts";
import { createLogger } from "../../src/process/logger.ts";
import { prepareDatabase } from "../../src/roles/prepare-database.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { aStatusUpdate, anMccDecline, deliver } from "../support/deliveries.ts";
import { makeFolder, removeFolder } from "../support/process.ts";
import type { QueueKind, Reader, TestService } from "../support/service.ts";
import {
  isAvailable,
  openReader,
  queueKinds,
  startTestService,
  untilApplied,
} from "../support/service.ts";
import type { TcpProxy } from "../support/tcp-proxy.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { waitFor } from "../support/wait-for.ts";

const LIMIT_MS = 120_000;
/** The grace of a hint, a few sweeps, and the pause of a worker in trouble. */
const APPLIED_WITHIN_MS = 15_000;

const undo: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
}, LIMIT_MS);

interface Readiness {
  readonly code: number;
  readonly status: string;
  readonly postgres: { readonly status: string; readonly reason?: string };
}

async function readinessOf(service: TestService): Promise<Readiness> {
  const response = await fetch(`${service.baseUrl}/readyz`);
  const body = (await response.json()) as Omit<Readiness, "code">;
  return { code: response.status, ...body };
}

async function untilReady(service: TestService): Promise<void> {
  await waitFor(async () => (await readinessOf(service)).code === 200, {
    what: "the service to be ready",
    timeoutMs: APPLIED_WITHIN_MS,
  });
}

async function startOn(
  queue: QueueKind,
  database: TestDatabase,
  env: Readonly<Record<string, string>> = {},
): Promise<TestService> {
  const service = await startTestService({ queue, database, env });
  undo.push(() => service.stop());
  return service;
}

async function createDatabase(): Promise<{
  readonly database: TestDatabase;
  readonly name: string;
  /** As the administrator, past all that is set for the database. */
  readonly ask: Reader["rows"];
}> {
  const database = await createTestDatabase();
  const admin = openReader(process.env["TEST_POSTGRES_URL"] ?? "");
  undo.push(
    () => database.drop(),
    () => admin.close(),
  );
  const name = new URL(database.url).pathname.slice(1);
  return { database, name, ask: admin.rows };
}

const deliverSome = async (service: TestService, count: number) => {
  const statuses: number[] = [];
  for (let sent = 0; sent < count; sent++)
    statuses.push((await deliver(service, aStatusUpdate())).status);
  return statuses;
};

describe.each(queueKinds.filter(isAvailable))(
  "a service with the queue on %s",
  (queue) => {
    test(
      "is not ready while its database takes no writes, and goes on by itself when it takes them again",
      async () => {
        const { database, name, ask } = await createDatabase();
        // So few connections that each of them is met.
        const service = await startOn(queue, database, {
          DATABASE_POOL_SIZE: "2",
        });
        await deliverSome(service, 1);
        await service.untilApplied();
        const cut = () =>
          ask(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1",
            [name],
          );

        await ask(
          `alter database ${name} set default_transaction_read_only = on`,
        );
        await cut();
        await waitFor(
          async () => (await readinessOf(service)).postgres.reason,
          {
            what: "a reason",
          },
        );
        const during = await readinessOf(service);
        const refused = await deliver(service, aStatusUpdate());
        // The worker's connections are made while the database is read-only, too.
        await waitFor(
          async () => /25006.*search for stalled/.test(service.log()),
          { what: "the worker to have met it" },
        );
        await ask(`alter database ${name} reset default_transaction_read_only`);
        const statuses = await deliverSome(service, 20);
        await service.untilApplied(APPLIED_WITHIN_MS);
        await untilReady(service);
        const events = await service.rows(
          "select state, attempts, count(*)::int from webhook_events group by 1, 2",
        );

        expect(during).toMatchObject({
          code: 503,
          status: "unavailable",
          postgres: { status: "down", reason: "the server takes no writes" },
        });
        expect(refused.status).toBe(503);
        expect(statuses).toEqual(statuses.map(() => 200));
        expect(events).toEqual([
          { state: "processed", attempts: 1, count: 21 },
        ]);
      },
      LIMIT_MS,
    );

    test.each([
      [
        "a table has another name",
        "alter table cards rename to plastics",
        "alter table plastics rename to cards",
        "a table or a column is missing",
      ],
      [
        "a right is missing",
        "revoke insert on cards from test_writer",
        "grant insert on cards to test_writer",
        "a right is missing",
      ],
    ])(
      "keeps its events and their attempts while %s, says so, and applies them afterwards",
      async (_, breakIt, mendIt, reason) => {
        const { database } = await createDatabase();
        const owner = openReader(database.url);
        undo.push(() => owner.close());
        const login = await createWriter(owner);
        const service = await startOn(queue, { ...database, url: login });
        await owner.rows(breakIt);

        const statuses = await deliverSome(service, 10);
        await waitFor(
          async () =>
            (
              await owner.rows(
                "select 1 from webhook_events where last_error is not null",
              )
            ).length > 0,
          { what: "an event to have been tried" },
        );
        const during = await readinessOf(service);
        const waiting = await owner.rows(
          "select distinct state, attempts from webhook_events",
        );
        await owner.rows(mendIt);
        await untilApplied(owner.rows, APPLIED_WITHIN_MS);
        await untilReady(service);
        const afterwards = await owner.rows(
          "select distinct state, attempts, last_error from webhook_events",
        );

        expect(statuses).toEqual(statuses.map(() => 200));
        expect(during).toMatchObject({
          code: 503,
          postgres: { status: "down", reason },
        });
        expect(waiting).toEqual([{ state: "received", attempts: 0 }]);
        expect(afterwards).toEqual([
          { state: "processed", attempts: 1, last_error: null },
        ]);
        expect(service.log()).toContain("through no fault of its own");
      },
      LIMIT_MS,
    );

    test(
      "applies what it can while one table is missing",
      async () => {
        const { database } = await createDatabase();
        const owner = openReader(database.url);
        undo.push(() => owner.close());
        const service = await startOn(queue, database);
        await owner.rows("alter table transactions rename to others");

        await Promise.all(
          Array.from({ length: 40 }, (_, index) =>
            deliver(
              service,
              index % 10 === 0 ? anMccDecline() : aStatusUpdate(),
            ),
          ),
        );
        const count = async (state: string) =>
          (
            await owner.rows("select 1 from webhook_events where state = $1", [
              state,
            ])
          ).length;
        await waitFor(async () => (await count("processed")) === 36, {
          what: "the events of cards to be applied",
          timeoutMs: APPLIED_WITHIN_MS,
        });
        await owner.rows("alter table others rename to transactions");
        await service.untilApplied(APPLIED_WITHIN_MS);

        expect(await count("processed")).toBe(40);
      },
      LIMIT_MS,
    );

    test(
      "follows its address from a standby to the new primary, and a standby that is promoted",
      async () => {
        const { primary, standby } = await startPair();
        const proxy = await startProxy(primary.url());
        const reader = openReader(primary.url());
        undo.push(() => reader.close());
        const service = await startOn(queue, {
          url: proxy.url,
          drop: async () => undefined,
        });
        await deliverSome(service, 5);
        await untilApplied(reader.rows);

        // As during a fail-over: the address leads to the wrong server for a while.
        proxy.redirect(standby.url());
        proxy.cut();
        await waitFor(
          async () => (await readinessOf(service)).postgres.reason,
          { what: "a reason" },
        );
        const onStandby = await readinessOf(service);
        const refused = await deliver(service, aStatusUpdate());
        // And then to the right one; what is connected to the standby stays there.
        proxy.redirect(primary.url());
        const statuses = await deliverSome(service, 20);
        await untilApplied(reader.rows, APPLIED_WITHIN_MS);
        await untilReady(service);
        await waitFor(
          async () => {
            await deliverSome(service, 1);
            await untilApplied(reader.rows, 2_500);
            return true;
          },
          { what: "events to be applied by their hints", timeoutMs: 20_000 },
        );

        // The other way: the standby to which it is connected takes over.
        proxy.redirect(standby.url());
        proxy.cut();
        await waitFor(async () => (await readinessOf(service)).code === 503, {
          what: "the standby to be noticed",
        });
        const promoter = openReader(standby.url());
        undo.push(() => promoter.close());
        await promoter.rows("select pg_promote()");
        await untilReady(service);
        const promoted = await deliverSome(service, 20);
        await untilApplied(promoter.rows, APPLIED_WITHIN_MS);

        expect(onStandby).toMatchObject({
          code: 503,
          postgres: { reason: "the server takes no writes" },
        });
        expect(refused.status).toBe(503);
        expect(statuses).toEqual(statuses.map(() => 200));
        expect(promoted).toEqual(promoted.map(() => 200));
        expect(
          await reader.rows(
            "select distinct state, attempts from webhook_events",
          ),
        ).toEqual([{ state: "processed", attempts: 1 }]);
      },
      LIMIT_MS,
    );
  },
);

/** A login that owns nothing. */
async function createWriter(owner: Reader): Promise<string> {
  await owner.rows(`
    do $$ begin
      create role test_writer login password 'secret';
    exception when duplicate_object then null; end $$`);
  for (const schema of ["public", "bullmq", "uqpay_card_sync_migrations"])
    await owner.rows(`
      grant usage, create on schema ${schema} to test_writer;
      grant select, insert, update, delete on all tables in schema ${schema} to test_writer;
      grant usage, select on all sequences in schema ${schema} to test_writer`);
  const [row] = await owner.rows(
    "select current_database() as name, inet_server_port() as port",
  );
  return `postgres://test_writer:secret@127.0.0.1:${String(row?.["port"])}/${String(row?.["name"])}`;
}

async function startProxy(target: string): Promise<TcpProxy> {
  const proxy = await startTcpProxy(target);
  undo.push(() => proxy.close());
  return proxy;
}

/** Two servers with the same tables, one of which is in recovery. */
async function startPair(): Promise<{
  readonly primary: EmbeddedPostgres;
  readonly standby: EmbeddedPostgres;
}> {
  const folder = await makeFolder();
  undo.push(() => removeFolder(folder));
  const start = async (name: string) => {
    const server = await startEmbeddedPostgres({
      dataDir: join(folder, name),
      durable: false,
      settings: { max_connections: "60" },
    });
    undo.push(() => server.stop());
    return server;
  };
  const first = await start("primary");
  await prepareDatabase(
    first.url(),
    { kind: "postgres", url: first.url() },
    createLogger("silent"),
  );
  await first.stop();
  await cp(join(folder, "primary"), join(folder, "standby"), {
    recursive: true,
    preserveTimestamps: true,
  });
  await writeFile(join(folder, "standby", "cluster", "standby.signal"), "");
  return { primary: await start("primary"), standby: await start("standby") };
}
