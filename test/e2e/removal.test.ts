import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { Redis } from "ioredis";
import pg from "pg";
import type { EmbeddedPostgres } from "../../dev/embedded-postgres/embedded-postgres.ts";
import { startEmbeddedPostgres } from "../../dev/embedded-postgres/embedded-postgres.ts";
import { aStatusUpdate, deliver } from "../support/deliveries.ts";
import { codeBlockWith } from "../support/markdown.ts";
import {
  endProcesses,
  removeFolder,
  startProcess,
} from "../support/process.ts";
import { haveAll, runProgram } from "../support/programs.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { isAvailable, startTestService } from "../support/service.ts";

const LIMIT_MS = 60_000;
const DOCUMENT = "docs/deploy.md";
const ROLES = readFileSync(
  fileURLToPath(new URL("../../db/roles.sql", import.meta.url)),
  "utf8",
);

describe("removing the service as docs/deploy.md has it", () => {
  let folder: string;
  let server: EmbeddedPostgres;

  // Of its own: roles belong to the whole server.
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "uqpay-removal-"));
    server = await startEmbeddedPostgres({
      dataDir: join(folder, "postgres"),
      durable: false,
    });
  }, LIMIT_MS);

  afterEach(async () => {
    await endProcesses();
    await server.stop();
    await removeFolder(folder);
  }, LIMIT_MS);

  async function run(text: string): Promise<unknown[]> {
    const client = new pg.Client({ connectionString: server.url() });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  }

  /** Everything that somebody may have made: nothing of it may stay. */
  const listObjects = () =>
    run(`
      select 'relation ' || c.oid::regclass as name from pg_class c join pg_namespace n on n.oid = relnamespace
        where nspname !~ '^(pg_|information_schema)'
      union all select 'routine ' || p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = pronamespace
        where nspname !~ '^(pg_|information_schema)'
      union all select 'type ' || t.oid::regtype from pg_type t join pg_namespace n on n.oid = typnamespace
        where nspname !~ '^(pg_|information_schema)'
      union all select 'schema ' || nspname from pg_namespace where nspname !~ '^pg_(toast|temp)'
      union all select 'role ' || rolname from pg_roles
      union all select 'default rights ' || defaclobjtype::text from pg_default_acl
      union all select 'extension ' || extname from pg_extension
      union all select 'event trigger ' || evtname from pg_event_trigger
      union all select 'setting ' || setconfig::text from pg_db_role_setting
      order by 1`);

  async function migrate(): Promise<void> {
    const migration = startProcess("cli.js", {
      cwd: folder,
      args: ["migrate"],
      env: { DATABASE_URL: server.url() },
    });
    expect(await migration.ended).toBe(0);
  }

  async function useService(): Promise<void> {
    const service = await startTestService({
      queue: "postgres",
      database: { url: server.url(), drop: () => Promise.resolve() },
    });
    await deliver(service, aStatusUpdate());
    await service.untilApplied();
    await service.stop();
  }

  const [removal, rolesRemoval] = ["drop view", "drop role"].map((part) =>
    codeBlockWith(DOCUMENT, "sql", part),
  );

  test(
    "leaves nothing in a database that it shared, and nothing of anybody else is touched",
    async () => {
      await run("create table invoices (id int); create schema reports");
      const before = await listObjects();
      await migrate();
      await useService();
      expect(await listObjects()).not.toEqual(before);

      await run(removal ?? "");

      expect(await listObjects()).toEqual(before);
    },
    LIMIT_MS,
  );

  test(
    "leaves no role and no right where db/roles.sql was used",
    async () => {
      const before = await listObjects();
      await run(ROLES);
      await migrate();
      await run(ROLES);
      await useService();

      await run(removal ?? "");
      await run(rolesRemoval ?? "");

      expect(await listObjects()).toEqual(before);
    },
    LIMIT_MS,
  );
});

const describeWithRedis =
  isAvailable("redis") && haveAll(["redis-cli", "xargs"])
    ? describe
    : describe.skip;

describeWithRedis(
  "removing the queue from Redis as docs/deploy.md has it",
  () => {
    test(
      "leaves what is not of this service",
      async () => {
        const redis = await startRedisServer();
        const client = new Redis(redis.url);
        await client.set("uqpay-of-somebody-else", "1");
        const service = await startTestService({
          queue: "redis",
          env: { REDIS_URL: redis.url, QUEUE_PREFIX: "uqpay" },
        });
        await deliver(service, aStatusUpdate());
        await service.untilApplied();
        await service.stop();
        const before = await client.keys("*");

        runProgram("sh", ["-euc", codeBlockWith(DOCUMENT, "sh", "unlink")], {
          env: { REDIS_URL: redis.url },
        });

        const after = await client.keys("*");
        await client.quit();
        await redis.stop();
        expect(before.length).toBeGreaterThan(1);
        expect(after).toEqual(["uqpay-of-somebody-else"]);
      },
      LIMIT_MS,
    );
  },
);
