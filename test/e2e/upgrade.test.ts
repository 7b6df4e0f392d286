import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  copyFile,
  cp,
  readFile,
  readdir,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "@jest/globals";
import type { Kysely } from "kysely";
import { Migrator, sql } from "kysely";
import pg from "pg";
import { createLogger } from "../../src/process/logger.ts";
import { prepareDatabase } from "../../src/roles/prepare-database.ts";
import type { TestDatabase } from "../support/database.ts";
import {
  createEmptyDatabase,
  createTestDatabase,
} from "../support/database.ts";
import { aStatusUpdate, anMccDecline, deliver } from "../support/deliveries.ts";
import type { TestProcess } from "../support/process.ts";
import {
  baseUrlOf,
  endProcesses,
  makeFolder,
  removeFolder,
  startCommand,
  startProcess,
} from "../support/process.ts";
import type { QueueKind, Reader, TestService } from "../support/service.ts";
import {
  SECRET,
  isAvailable,
  openReader,
  queueKinds,
  startTestService,
  statesOf,
  untilApplied,
} from "../support/service.ts";
import { openStore } from "../support/store.ts";
import { waitFor } from "../support/wait-for.ts";

const LIMIT_MS = 120_000;
const PROJECT = new URL("../../", import.meta.url);

const undo: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await endProcesses();
  for (const step of undo.splice(0).toReversed()) await step();
}, LIMIT_MS);

async function openDatabase(
  create: () => Promise<TestDatabase>,
): Promise<{ readonly url: string; readonly reader: Reader }> {
  const database = await create();
  const { url } = database;
  const reader = openReader(url);
  undo.push(
    () => database.drop(),
    () => reader.close(),
  );
  return { url, reader };
}

/** Each takes its tables in an order in which no worker takes them. */
const NEXT_MIGRATIONS = [
  `alter table transactions add column next text;
   alter table cards add column next text not null default '';
   alter table webhook_events add column next text`,
  `alter table cards add column later text;
   alter table quarantined_events add column later text;
   alter table webhook_events add column later text;
   create index on cards (later)`,
];

/** This version with two more migrations: the one after it. */
async function makeNextVersion(): Promise<string> {
  const folder = await makeFolder();
  undo.push(() => removeFolder(folder));
  const from = (name: string) => fileURLToPath(new URL(name, PROJECT));
  await cp(from("dist"), join(folder, "dist"), { recursive: true });
  await copyFile(from("package.json"), join(folder, "package.json"));
  await symlink(from("node_modules"), join(folder, "node_modules"));
  for (const [index, text] of NEXT_MIGRATIONS.entries())
    await writeFile(
      join(folder, `dist/db/migrations/999${String(index)}_next.sql`),
      text,
    );
  return folder;
}

function environmentOf(queue: QueueKind, url: string) {
  return {
    DATABASE_URL: url,
    UQPAY_WEBHOOK_SECRET: SECRET,
    PORT: "0",
    REQUEUE_PERIOD_MS: "300",
    ...(queue === "redis" && {
      REDIS_URL: process.env["TEST_REDIS_URL"] ?? "",
      QUEUE_PREFIX: `test-${randomUUID()}`,
    }),
  };
}

/** Delivers without a pause, until it is told to stop. */
function startDelivering(targets: readonly { readonly baseUrl: string }[]) {
  const ids: string[] = [];
  const statuses = new Map<number, number>();
  let isOver = false;
  const senders = Array.from({ length: 4 }, async () => {
    for (let count = 0; !isOver; count++) {
      const target = targets[count % targets.length] ?? { baseUrl: "" };
      const event = count % 3 === 0 ? anMccDecline() : aStatusUpdate();
      const { status } = await deliver(target, event);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status === 200) ids.push(event.event_id);
    }
  });
  return {
    count: () => ids.length,
    stop: async () => {
      isOver = true;
      await Promise.all(senders);
      return { ids, statuses: [...statuses.keys()] };
    },
  };
}

interface Readiness {
  readonly code: number;
  readonly status: string;
  readonly migrations: { readonly status: string; readonly reason?: string };
}

async function readinessOf(target: {
  readonly baseUrl: string;
}): Promise<Readiness> {
  const response = await fetch(`${target.baseUrl}/readyz`);
  const body = (await response.json()) as Omit<Readiness, "code">;
  return { code: response.status, ...body };
}

describe.each(queueKinds.filter(isAvailable))(
  "with the queue on %s",
  (queue) => {
    test(
      "the next version migrates beside a running one under traffic: no delivery is refused, no event loses an attempt",
      async () => {
        const { url, reader } = await openDatabase(createTestDatabase);
        const env = environmentOf(queue, url);
        const folder = await makeNextVersion();
        const old: TestProcess = startProcess("main.js", { cwd: folder, env });
        const oldUrl = await baseUrlOf(old);

        const traffic = startDelivering([oldUrl]);
        await waitFor(async () => traffic.count() > 200, { what: "traffic" });
        const next = startCommand(process.execPath, {
          args: [join(folder, "dist/src/main.js")],
          cwd: folder,
          env,
        });
        const nextUrl = await baseUrlOf(next);
        const outdated = await waitFor(
          async () => {
            const readiness = await readinessOf(oldUrl);
            return readiness.code === 503 && readiness;
          },
          { what: "the old version to say that it is old" },
        );
        const before = traffic.count();
        await waitFor(async () => traffic.count() > before + 200, {
          what: "deliveries to the old version, beside the new one",
        });
        const { ids, statuses } = await traffic.stop();
        await untilApplied(reader.rows, 30_000);
        const ready = await readinessOf(nextUrl);
        old.kill("SIGTERM");

        expect(statuses).toEqual([200]);
        expect(await statesOf(reader, ids)).toEqual({ processed: ids.length });
        expect(
          await reader.rows("select max(attempts) from webhook_events"),
        ).toEqual([{ max: 1 }]);
        expect(outdated).toMatchObject({
          status: "unavailable",
          migrations: {
            status: "down",
            reason: "a newer release has migrated the database",
          },
        });
        expect(ready).toMatchObject({ code: 200, status: "ready" });
        expect(old.stdout()).toContain("the schema is not this release's");
        expect(await old.ended).toBe(0);
      },
      LIMIT_MS,
    );

    test(
      "a worker whose schema a newer release has changed leaves its events as they are, and applies them when it is back",
      async () => {
        const { url, reader } = await openDatabase(createTestDatabase);
        const service = await startTestService({
          queue,
          database: { url, drop: async () => undefined },
        });
        undo.push(() => service.stop());
        await reader.rows(
          "alter table cards add constraint newer check (card_id = '') not valid",
        );
        await reader.rows(
          "insert into uqpay_card_sync_migrations.kysely_migration values ('9999_newer', 'now')",
        );

        const answers = await deliverSome(service, 20);
        await waitFor(
          async () => service.log().includes("the schema is not this release"),
          { what: "the worker to see it" },
        );
        const more = await deliverSome(service, 20);
        const during = await reader.rows(
          "select distinct state, attempts from webhook_events",
        );
        const readiness = await readinessOf(service);
        await reader.rows("alter table cards drop constraint newer");
        await reader.rows(
          "delete from uqpay_card_sync_migrations.kysely_migration where name = '9999_newer'",
        );
        await service.untilApplied(15_000);

        expect([...answers, ...more]).toEqual(
          [...answers, ...more].map(() => 200),
        );
        expect(during).toEqual([{ state: "received", attempts: 0 }]);
        expect(readiness).toMatchObject({
          code: 503,
          migrations: { status: "down" },
        });
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

const deliverSome = async (service: TestService, count: number) =>
  Promise.all(
    Array.from(
      { length: count },
      async () => (await deliver(service, aStatusUpdate())).status,
    ),
  );

test(
  "a process that only takes deliveries in goes on beside a newer schema, and says that it is old",
  async () => {
    const { url, reader } = await openDatabase(createTestDatabase);
    const service = await startTestService({
      queue: "postgres",
      env: { ROLE: "api" },
      database: { url, drop: async () => undefined },
    });
    undo.push(() => service.stop());
    await reader.rows(
      "insert into uqpay_card_sync_migrations.kysely_migration values ('9999_newer', 'now')",
    );

    expect(await deliverSome(service, 5)).toEqual([200, 200, 200, 200, 200]);
    expect(await readinessOf(service)).toMatchObject({
      code: 200,
      status: "degraded",
      migrations: {
        status: "degraded",
        reason: "a newer release has migrated the database",
      },
    });
  },
  LIMIT_MS,
);

test(
  "a migration lets others pass while somebody reads a table for long, says that it waits, and is done afterwards",
  async () => {
    const { url, reader } = await openDatabase(createTestDatabase);
    const folder = await makeNextVersion();
    const report = new pg.Client({ connectionString: url });
    await report.connect();
    undo.push(() => report.end());
    await report.query("begin; select 1 from cards");

    const migration = startCommand(process.execPath, {
      args: [join(folder, "dist/src/cli.js"), "migrate"],
      cwd: folder,
      env: { DATABASE_URL: url },
    });
    const waits = () =>
      `${migration.stdout()}${migration.stderr()}`.split("waits for a lock")
        .length - 1;
    let slowestMs = 0;
    await waitFor(
      async () => {
        const startedAt = performance.now();
        await reader.rows("update cards set card_id = card_id");
        slowestMs = Math.max(slowestMs, performance.now() - startedAt);
        return waits() >= 3;
      },
      { what: "three waits", timeoutMs: 30_000 },
    );
    await report.query("commit");

    expect(await migration.ended).toBe(0);
    expect(slowestMs).toBeGreaterThan(400);
    expect(slowestMs).toBeLessThan(2_500);
    expect(await reader.rows("select next, later from cards limit 0")).toEqual(
      [],
    );
  },
  LIMIT_MS,
);

interface Recorded {
  /** What its database had. */
  readonly migrations: readonly string[];
  readonly statements: readonly {
    readonly text: string;
    readonly values: readonly unknown[];
  }[];
}

test(
  "what the version before this one says to PostgreSQL is understood while this one's migrations apply, and afterwards",
  async () => {
    const { url, reader } = await openDatabase(createEmptyDatabase);
    const recorded = JSON.parse(
      readFileSync(
        new URL("../fixtures/upgrade/previous-version.json", import.meta.url),
        "utf8",
      ),
    ) as Recorded;
    await migrateAsBefore(url, recorded.migrations);
    const stopsWorkers = await isBreaking(recorded.migrations);
    const errors: string[] = [];
    let isOver = false;
    const rounds = [0, 0, 0, 0];
    const sessions = rounds.map(async (_, session) => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      const all = statementsOf(recorded, session);
      const statements = stopsWorkers ? withoutWorker(all) : all;
      while (!isOver || rounds[session] === 0) {
        try {
          for (const statement of statements) await client.query(statement);
        } catch (error) {
          const { code = "", message } = error as pg.DatabaseError;
          // One of two must give way in a deadlock; the worker tries again.
          if (code !== "40P01") errors.push(`${code} ${message}`);
          await client.query("rollback");
        }
        // Each round says the same again.
        await forget(client, session);
        rounds[session] = (rounds[session] ?? 0) + 1;
      }
      await client.end();
    });

    await waitFor(async () => rounds.every((count) => count > 2), {
      what: "the version before to work",
    });
    await prepareDatabase(
      url,
      { kind: "postgres", url },
      createLogger("silent"),
    );
    const after = rounds.map((count) => count + 5);
    await waitFor(
      async () => rounds.every((count, session) => count > after[session]!),
      { what: "the version before to go on" },
    );
    isOver = true;
    await Promise.all(sessions);

    expect(errors).toEqual([]);
    const [applied] = await reader.rows(
      "select count(*)::int from uqpay_card_sync_migrations.kysely_migration",
    );
    expect(applied?.["count"]).toBeGreaterThan(recorded.migrations.length);
  },
  LIMIT_MS,
);

async function migrateAsBefore(
  url: string,
  names: readonly string[],
): Promise<void> {
  const store = openStore(url);
  const migrator = new Migrator({
    db: store.db,
    migrationTableSchema: "uqpay_card_sync_migrations",
    provider: {
      getMigrations: async () =>
        Object.fromEntries(
          names.map((name) => [
            name,
            {
              up: async (db: Kysely<unknown>) => {
                const path = new URL(`db/migrations/${name}.sql`, PROJECT);
                await sql.raw(await readFile(path, "utf8")).execute(db);
              },
            },
          ]),
        ),
    },
  });
  const { error } = await migrator.migrateToLatest();
  await store.close();
  expect(error).toBeUndefined();
}

/** Whether a migration of this release says in its first line that the workers of the version before must stop. */
async function isBreaking(known: readonly string[]): Promise<boolean> {
  const folder = new URL("db/migrations/", PROJECT);
  const names = (await readdir(folder)).filter(
    (name) => !known.includes(name.replace(/\.sql$/, "")),
  );
  const texts = await Promise.all(
    names.map((name) => readFile(new URL(name, folder), "utf8")),
  );
  return texts.some((text) => text.startsWith("-- breaking:"));
}

/** Without what its workers say in their transactions: its receivers go on all the same. */
function withoutWorker<Statement extends { readonly text: string }>(
  statements: readonly Statement[],
): Statement[] {
  let isInTransaction = false;
  return statements.filter(({ text }) => {
    isInTransaction ||= text.startsWith("begin;");
    const isWorkers = isInTransaction;
    isInTransaction &&= text !== "commit";
    return !isWorkers;
  });
}

/** As one of several sessions: each is about events, cards and transactions of its own, by ids that are as long. */
function statementsOf({ statements }: Recorded, session: number) {
  const own = (text: string) =>
    text
      .replaceAll("EVENT-", `EVEN${String(session)}-`)
      .replaceAll("CARD-", `CAR${String(session)}-`)
      .replaceAll("TRANSACTION-", `TRANSACTIO${String(session)}-`);
  const valueOf = (value: unknown) => {
    if (typeof value === "string") return own(value);
    if (typeof value !== "object" || value === null) return value;
    const { base64 } = value as { readonly base64: string };
    // A character for each byte, so that none changes.
    const bytes = Buffer.from(base64, "base64").toString("latin1");
    return Buffer.from(own(bytes), "latin1");
  };
  return statements.map(({ text, values }) => {
    // What has no parameters may be several statements.
    if (values.length === 0) return { text };
    const name = createHash("sha256").update(text).digest("base64url");
    return { name, text, values: values.map(valueOf) };
  });
}

async function forget(client: pg.Client, session: number): Promise<void> {
  const own = `'%${String(session)}-_'`;
  for (const table of ["authorizations", "cards", "webhook_events"])
    await client.query(
      `delete from ${table} where ${table === "cards" ? "card_id" : "event_id"} like ${own}`,
    );
  await client.query(
    `delete from quarantined_events where event_id like ${own}`,
  );
}
