import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  test,
} from "@jest/globals";
import pg from "pg";
import type { TestDatabase } from "../support/database.ts";
import { createEmptyDatabase } from "../support/database.ts";
import { aStatusUpdate, deliver } from "../support/deliveries.ts";
import type { PgBouncer } from "../support/pgbouncer.ts";
import { hasPgBouncer, startPgBouncer } from "../support/pgbouncer.ts";
import {
  baseUrlOf,
  endProcesses,
  makeFolder,
  removeFolder,
  startProcess,
} from "../support/process.ts";
import {
  QUICK,
  openReader,
  statesOf,
  untilApplied,
} from "../support/service.ts";
import { waitFor } from "../support/wait-for.ts";

const LIMIT_MS = 60_000;

let folder: string;
let database: TestDatabase;
let pooler: PgBouncer | undefined;

beforeAll(async () => {
  folder = await makeFolder();
  database = await createEmptyDatabase();
});

afterEach(async () => {
  await endProcesses();
  await pooler?.stop();
  pooler = undefined;
}, LIMIT_MS);

afterAll(async () => {
  await database.drop();
  await removeFolder(folder);
});

/** What other programs find set in the sessions that the pooler gives them, several at once. */
async function settingsOfOthers(
  url: string,
  sessions: number,
): Promise<unknown[]> {
  const clients = Array.from(
    { length: sessions },
    () => new pg.Client({ connectionString: url }),
  );
  const found: unknown[] = [];
  for (const client of clients) {
    await client.connect();
    await client.query("begin");
    const { rows } = await client.query<Record<string, unknown>>(
      // PgBouncer itself keeps the name of whom it serves.
      "select name, setting from pg_settings where source = 'session' and name <> 'application_name'",
    );
    found.push(...rows);
  }
  for (const client of clients) await client.end();
  return found;
}

(hasPgBouncer() ? describe : describe.skip)(
  "a pooler before the database",
  () => {
    test.each<[string, Readonly<Record<string, number>>]>([
      ["transaction", {}],
      ["transaction", { default_pool_size: 1 }],
      ["transaction", { default_pool_size: 5, server_round_robin: 1 }],
      ["statement", {}],
    ])(
      "in %s mode (%j) is refused in one sentence by the service and by its tool, and nothing is set in the sessions of others",
      async (mode, more) => {
        pooler = await startPgBouncer(database.url, {
          pool_mode: mode,
          ...more,
        });
        const env = { ...QUICK, DATABASE_URL: pooler.url };

        for (const [program, args] of [
          ["main.js", []],
          ["cli.js", ["migrate"]],
          ["cli.js", ["events"]],
        ] as const) {
          const running = startProcess(program, { cwd: folder, args, env });

          expect(await running.ended).toBe(1);
          expect(running.stderr()).toMatch(
            /^The database cannot be used: a pooler in transaction mode [^\n]*pool_mode=session[^\n]*\n$/,
          );
        }
        const sessions =
          mode === "statement" ? 0 : (more["default_pool_size"] ?? 3);
        expect(await settingsOfOthers(pooler.url, sessions)).toEqual([]);
      },
      LIMIT_MS,
    );

    test(
      "in session mode carries service and queue, and others find nothing set",
      async () => {
        pooler = await startPgBouncer(database.url, {
          pool_mode: "session",
          default_pool_size: 60,
        });
        const env = { ...QUICK, DATABASE_URL: pooler.url };
        const running = startProcess("main.js", { cwd: folder, env });
        const service = await baseUrlOf(running);
        const events = Array.from({ length: 10 }, () => aStatusUpdate());

        for (const event of events)
          expect(await deliver(service, event)).toMatchObject({ status: 200 });
        const reader = openReader(database.url);
        await untilApplied(reader.rows);
        const states = await statesOf(
          reader,
          events.map(({ event_id }) => event_id),
        );
        // Each job is removed a moment after its events were applied.
        await waitFor(
          async () =>
            (await reader.rows("select from bullmq.job")).length === 0,
          { what: "the queue to be empty" },
        );
        await reader.close();
        running.kill("SIGTERM");
        const code = await running.ended;

        expect(states).toEqual({ processed: 10 });
        expect(code).toBe(0);
        expect(await settingsOfOthers(pooler.url, 10)).toEqual([]);
      },
      LIMIT_MS,
    );

    test(
      "that takes no options is named, with what to do",
      async () => {
        pooler = await startPgBouncer(database.url, { pool_mode: "session" });
        const running = startProcess("cli.js", {
          cwd: folder,
          args: ["migrate"],
          env: {
            DATABASE_URL: `${pooler.url}?options=-c%20work_mem%3D8MB`,
          },
        });

        expect(await running.ended).toBe(1);
        expect(running.stderr()).toMatch(
          /^The database cannot be used: [^\n]*startup parameter[^\n]*ignore_startup_parameters\.\n$/,
        );
      },
      LIMIT_MS,
    );
  },
);
