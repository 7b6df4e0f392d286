import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import pg from "pg";
import { loadConfig } from "../../src/config.ts";
import { createLogger } from "../../src/process/logger.ts";
import { prepareDatabase } from "../../src/roles/prepare-database.ts";
import { queueConnection } from "../../src/service.ts";
import type { RunningServer } from "../../src/roles/start-server.ts";
import { startServer } from "../../src/roles/start-server.ts";
import type { TestDatabase } from "../support/database.ts";
import {
  createEmptyDatabase,
  createTestDatabase,
} from "../support/database.ts";
import { aStatusUpdate, anMccDecline, deliver } from "../support/deliveries.ts";
import type { Reader } from "../support/service.ts";
import {
  QUICK,
  isAvailable,
  openReader,
  queueKinds,
  untilApplied,
} from "../support/service.ts";

const ROLES = readFileSync(
  new URL("../../db/roles.sql", import.meta.url),
  "utf8",
);

const TABLES = [
  "webhook_events",
  "quarantined_events",
  "cards",
  "transactions",
  "earlier_copies",
  "card_orders",
  "cardholders",
  "events_without_card",
];

/** Logins of the three groups, as roles.sql says to make them. Roles are the server's, so each has a name of its own. */
interface Logins {
  readonly migrator: string;
  readonly writer: string;
  readonly reader: string;
  readonly drop: () => Promise<void>;
}

async function ask(
  url: string,
  text: string,
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

/** Not a session of the test's database, which is dropped before its roles are. */
function administratorUrl(): string {
  return process.env["TEST_POSTGRES_URL"] ?? "";
}

async function createLogins(databaseUrl: string): Promise<Logins> {
  const suffix = randomUUID().slice(0, 8);
  const create = async (group: string, setsRole: boolean) => {
    const name = `test_${group}_${suffix}`;
    await ask(
      databaseUrl,
      `create role ${name} login password 'secret' in role uqpay_${group}`,
    );
    if (setsRole)
      await ask(databaseUrl, `alter role ${name} set role uqpay_${group}`);
    const url = new URL(databaseUrl);
    url.username = name;
    url.password = "secret";
    return { name, url: url.href };
  };
  const migrator = await create("migrator", true);
  const writer = await create("writer", true);
  const reader = await create("reader", false);
  const names = [migrator.name, writer.name, reader.name];
  return {
    migrator: migrator.url,
    writer: writer.url,
    reader: reader.url,
    drop: async () => {
      await ask(administratorUrl(), `drop role ${names.join(", ")}`);
    },
  };
}

const silent = createLogger("silent");

async function migrateAs(url: string): Promise<void> {
  await prepareDatabase(url, { kind: "postgres", url }, silent);
}

async function refusal(url: string, statement: string): Promise<string> {
  try {
    // Should the right be there after all, nothing is harmed.
    await ask(url, `begin; ${statement}; rollback`);
  } catch (error) {
    return (error as Error).message;
  }
  return "it was not refused";
}

describe.each(queueKinds.filter(isAvailable))(
  "a database with roles, its queue on %s",
  (queue) => {
    let database: TestDatabase;
    let logins: Logins;
    let server: RunningServer | undefined;
    let reader: Reader;

    const env = () => ({
      ...QUICK,
      LOG_LEVEL: "silent",
      DATABASE_URL: logins.writer,
      ...(queue === "redis" && {
        REDIS_URL: process.env["TEST_REDIS_URL"],
        QUEUE_PREFIX: `test-${randomUUID()}`,
      }),
    });

    beforeAll(async () => {
      database = await createEmptyDatabase();
      await ask(database.url, ROLES);
      logins = await createLogins(database.url);
      await migrateAs(logins.migrator);
      await ask(database.url, ROLES);
      reader = openReader(logins.reader);
    });

    afterAll(async () => {
      await server?.stop();
      await reader.close();
      await database.drop();
      await logins.drop();
    });

    test("is migrated by the migrator, who then owns every table and the view", async () => {
      const rows = await ask(
        database.url,
        `select distinct pg_get_userbyid(relowner) as owner from pg_class
         where relkind in ('r', 'v', 'S')
           and relnamespace::regnamespace::text in ('public', 'bullmq', 'uqpay_card_sync_migrations')`,
      );

      expect(rows).toEqual([{ owner: "uqpay_migrator" }]);
    });

    test("is migrated again without any change", async () => {
      await expect(migrateAs(logins.migrator)).resolves.toBeUndefined();
    });

    test("lets the writer start, when no migration is pending", async () => {
      const config = loadConfig(env());
      const url = config.postgres.url ?? "";

      await expect(
        prepareDatabase(url, queueConnection(config, url), silent),
      ).resolves.toEqual([]);
    });

    test("lets the service do all its work as the writer", async () => {
      server = await startServer(loadConfig(env()), silent, "/nowhere");
      const sender = { baseUrl: `http://127.0.0.1:${server.service.port}` };
      const writer = openReader(logins.writer);

      const answers = [
        await deliver(sender, aStatusUpdate({ card_id: "card-1" })),
        await deliver(sender, anMccDecline({ card_id: "card-1" })),
        await deliver(sender, "no JSON"),
        await deliver(sender, aStatusUpdate(), {
          atMs: Date.now() - 3_600_000,
        }),
      ];
      await untilApplied(writer.rows);
      const ready = await fetch(`${sender.baseUrl}/readyz`);
      const metrics = await (await fetch(`${sender.baseUrl}/metrics`)).text();
      const events = await writer.rows(
        "select state, last_error from webhook_events",
      );
      await writer.close();

      expect(answers.map(({ status }) => status)).toEqual([200, 200, 400, 401]);
      expect(events).toEqual([
        { state: "processed", last_error: null },
        { state: "processed", last_error: null },
      ]);
      expect(await ready.json()).toMatchObject({
        status: "ready",
        queue: { status: "up" },
        migrations: { status: "up" },
      });
      expect(metrics).toContain("uqpay_hint_failures_total 0");
    });

    test("shows the reader the tables and views of the contract", async () => {
      expect(await reader.rows("select card_id from cards")).toEqual([
        { card_id: "card-1" },
      ]);
      for (const table of ["transactions", "authorizations"])
        expect(await reader.rows(`select card_id from ${table}`)).toHaveLength(
          1,
        );
      expect(await reader.rows("select rule_scope from mcc_declines")).toEqual([
        { rule_scope: "unknown" },
      ]);
    });

    test.each([
      "select * from webhook_events",
      "select body from quarantined_events",
      "select * from bullmq.job",
      "select * from uqpay_card_sync_migrations.kysely_migration",
      ...TABLES.map((table) => `delete from ${table}`),
      ...TABLES.map((table) => `truncate ${table}`),
      "update cards set card_status = 'ACTIVE'",
      "update authorizations set mcc_declined = false",
      "update transactions set mcc_declined = false",
      "insert into cards default values",
      "create table mine (id int)",
      "create schema mine",
      "create temporary table mine (id int)",
      "set role uqpay_writer",
      "set role uqpay_migrator",
    ])("refuses the reader: %s", async (statement) => {
      // PostgreSQL gives everybody temporary tables, and an operator may want that: it harms no data.
      const isEverybodys = statement.startsWith("create temporary");

      expect(await refusal(logins.reader, statement)).toMatch(
        isEverybodys ? /^it was not refused$/ : /permission denied|must be/,
      );
    });

    test.each([
      ...TABLES.flatMap((table) => [
        `delete from ${table}`,
        `truncate ${table}`,
        `drop table ${table} cascade`,
        `alter table ${table} add column more text`,
        `alter table ${table} disable trigger all`,
        `create index on ${table} (received_at)`,
      ]),
      "drop view mcc_declines",
      "drop view authorizations cascade",
      "create or replace view mcc_declines as select 1",
      "create table public.mine (id int)",
      "create schema mine",
      "drop schema bullmq cascade",
      "drop table bullmq.job cascade",
      "delete from uqpay_card_sync_migrations.kysely_migration",
      "insert into uqpay_card_sync_migrations.kysely_migration values ('x', 'x')",
      "set role uqpay_migrator",
      "reset role; set role uqpay_migrator",
    ])("refuses the writer: %s", async (statement) => {
      expect(await refusal(logins.writer, statement)).toMatch(
        /permission denied|must be owner/,
      );
    });
  },
);

describe("roles.sql", () => {
  test("run on a database that another user migrated gives it to the migrator, and once more changes nothing", async () => {
    const database = await createTestDatabase();
    await ask(database.url, ROLES);
    await ask(database.url, ROLES);
    const logins = await createLogins(database.url);

    await migrateAs(logins.migrator);
    await ask(logins.migrator, "alter table cards add column later text");
    await ask(logins.migrator, "alter table bullmq.job add column later text");

    expect(await ask(logins.reader, "select later from cards")).toEqual([]);
    expect(
      await ask(logins.writer, "select count(*)::int from webhook_events"),
    ).toEqual([{ count: 0 }]);
    await database.drop();
    await logins.drop();
  });

  test("gives nobody a login", async () => {
    const database = await createEmptyDatabase();
    await ask(database.url, ROLES);

    const rows = await ask(
      database.url,
      "select rolname, rolcanlogin, rolsuper, rolcreaterole, rolbypassrls from pg_roles where rolname like 'uqpay\\_%' order by rolname",
    );

    await database.drop();
    expect(rows).toEqual(
      ["uqpay_migrator", "uqpay_reader", "uqpay_writer"].map((rolname) => ({
        rolname,
        rolcanlogin: false,
        rolsuper: false,
        rolcreaterole: false,
        rolbypassrls: false,
      })),
    );
  });
});
