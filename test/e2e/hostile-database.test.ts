import { randomUUID } from "node:crypto";
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  test,
} from "@jest/globals";
import { startPostgresServer } from "../faults/postgres-server.ts";
import { createEmptyDatabase } from "../support/database.ts";
import {
  aCardUpdate,
  aStatusUpdate,
  anMccDecline,
  deliver,
} from "../support/deliveries.ts";
import {
  baseUrlOf,
  endProcesses,
  makeFolder,
  removeFolder,
  startProcess,
} from "../support/process.ts";
import {
  QUICK,
  isAvailable,
  openReader,
  queueKinds,
  statesOf,
  untilApplied,
} from "../support/service.ts";

const LIMIT_MS = 120_000;

let folder: string;

beforeAll(async () => {
  folder = await makeFolder();
});

afterEach(async () => {
  await endProcesses();
}, LIMIT_MS);

afterAll(async () => {
  await removeFolder(folder);
});

/** An empty database in which everything is set otherwise, for everybody, for its owner, and for its owner there. */
async function createHostileDatabase() {
  const database = await createEmptyDatabase();
  const login = `login_${randomUUID().replaceAll("-", "")}`;
  const url = new URL(database.url);
  const name = url.pathname.slice(1);
  const admin = openReader(database.url);
  await admin.rows(`create role ${login} login password '${url.password}'`);
  await admin.rows(`alter database ${name} owner to ${login}`);
  // Where PostgreSQL puts tables by itself, and one that stands before ours.
  await admin.rows(`create schema ${login} authorization ${login}`);
  await admin.rows(`create table ${login}.cards (card_id text primary key)`);
  const settings = Object.entries(
    JSON.parse(process.env["TEST_HOSTILE_SETTINGS"] ?? "") as Record<
      string,
      string
    >,
  );
  expect(settings.length).toBeGreaterThan(20);
  for (const [setting, value] of settings) {
    const its = setting === "search_path" ? `${login}, public` : `'${value}'`;
    for (const whose of [
      `database ${name}`,
      `role ${login}`,
      `role ${login} in database ${name}`,
    ])
      await admin.rows(`alter ${whose} set ${setting} = ${its}`);
  }
  url.username = login;
  return {
    url: url.href,
    login,
    admin,
    drop: async () => {
      await admin.close();
      await database.drop();
      const server = openReader(process.env["TEST_POSTGRES_URL"] ?? "");
      await server.rows(`drop role ${login}`);
      await server.close();
    },
  };
}

describe.each(queueKinds)(
  "a database that sets everything otherwise, with the queue on %s",
  (queue) => {
    const onQueue = isAvailable(queue) ? test : test.skip;

    onQueue(
      "is migrated into schema public, gets every event applied and is verified",
      async () => {
        const database = await createHostileDatabase();
        const env = {
          ...QUICK,
          DATABASE_URL: database.url,
          PGOPTIONS: "-c datestyle=sql,mdy -c synchronous_commit=local",
          PGTZ: "Asia/Kathmandu",
          ...(queue === "redis" && {
            REDIS_URL: process.env["TEST_REDIS_URL"] ?? "",
            QUEUE_PREFIX: `test-${randomUUID()}`,
          }),
        };
        const running = startProcess("main.js", { cwd: folder, env });
        const service = await baseUrlOf(running);

        const card_id = randomUUID();
        const events = [
          aCardUpdate({ card_id }),
          anMccDecline({
            card_id,
            merchant_data: [{ category_code: "5999", name: "カフェ \\ 'É'" }],
          }),
          aStatusUpdate({
            card_id,
            card_status: "FROZEN",
            update_time: "2026-03-04T05:06:07.089+08:00",
          }),
        ];
        for (const event of events) {
          expect(await deliver(service, event)).toMatchObject({ status: 200 });
        }
        // The test reads with PostgreSQL's own settings, and the service goes on beside it.
        const reader = openReader(
          database.url,
          "-c search_path=public -c datestyle=iso -c idle_session_timeout=0 -c statement_timeout=0 -c transaction_timeout=0",
        );
        await untilApplied(reader.rows, 30_000);

        expect(
          await reader.rows(
            "select card_status, status_changed_at from public.cards",
          ),
        ).toMatchObject([
          {
            card_status: "FROZEN",
            status_changed_at: "2026-03-03 21:06:07.089+00",
          },
        ]);
        expect(
          await reader.rows(
            "select mcc_declined, merchant_name from public.authorizations",
          ),
        ).toEqual([{ mcc_declined: true, merchant_name: "カフェ \\ 'É'" }]);
        expect(
          await statesOf(
            reader,
            events.map(({ event_id }) => event_id),
          ),
        ).toEqual({ processed: 3 });
        expect(
          await reader.rows(
            "select count(*)::int as strays from pg_tables where schemaname = $1",
            [database.login],
          ),
        ).toEqual([{ strays: 1 }]);
        await reader.close();
        const verified = startProcess("cli.js", {
          cwd: folder,
          args: ["verify"],
          env,
        });
        expect(await verified.ended).toBe(0);

        running.kill("SIGTERM");
        expect(await running.ended).toBe(0);
        await database.drop();
      },
      LIMIT_MS,
    );
  },
);

describe("a database that answers before what it stores is on the disk", () => {
  test(
    "keeps every event that was answered with 200, though PostgreSQL is killed at once",
    async () => {
      const server = await startPostgresServer(`${folder}/postgres`);
      const name = "durable";
      const url = await server.createDatabase(name);
      const admin = openReader(server.adminUrl(name));
      // What no commit waits for reaches the disk only after 10 s: a crash before that takes it.
      await admin.rows("alter system set wal_writer_delay = '10s'");
      await admin.rows("select pg_reload_conf()");
      await admin.rows(`alter database ${name} set synchronous_commit = off`);
      await admin.rows("alter role service set synchronous_commit = off");
      await admin.close();
      const env = { ...QUICK, DATABASE_URL: url };
      const running = startProcess("main.js", { cwd: folder, env });
      const service = await baseUrlOf(running);
      const events = Array.from({ length: 20 }, () => aStatusUpdate());

      const answers = await Promise.all(
        events.map((event) => deliver(service, event)),
      );
      await server.kill(0);

      expect(new Set(answers.map(({ status }) => status))).toEqual(
        new Set([200]),
      );
      const reader = openReader(server.adminUrl(name));
      const states = await statesOf(
        reader,
        events.map(({ event_id }) => event_id),
      );
      expect(states).not.toHaveProperty("lost");
      await untilApplied(reader.rows, 30_000);
      await reader.close();
      running.kill("SIGTERM");
      await running.ended;
      await server.stop();
    },
    LIMIT_MS,
  );
});
