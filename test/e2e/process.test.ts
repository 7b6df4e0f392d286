import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  test,
} from "@jest/globals";
import { Redis } from "ioredis";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { aStatusUpdate, anMccDecline, deliver } from "../support/deliveries.ts";
import { compactBytes, payloadNames } from "../support/fixtures.ts";
import { runCommandLine } from "../support/command-line.ts";
import type { TestProcess } from "../support/process.ts";
import {
  baseUrlOf,
  endProcesses,
  makeFolder,
  removeFolder,
  startCommand,
  startProcess,
} from "../support/process.ts";
import type { Reader } from "../support/service.ts";
import {
  QUICK,
  SECRET,
  isAvailable,
  openReader,
  queueKinds,
  statesOf,
  untilApplied,
} from "../support/service.ts";
import { endTraffic, startTraffic } from "../support/traffic.ts";
import { waitFor } from "../support/wait-for.ts";

const LIMIT_MS = 60_000;

let folder: string;

beforeAll(async () => {
  folder = await makeFolder();
});

afterEach(async () => {
  await endProcesses();
  await endTraffic();
}, LIMIT_MS);

afterAll(async () => {
  await removeFolder(folder);
});

/** What a field of the lines with this message comes to. */
function sumInLog(output: string, message: string, field: string): number {
  return output
    .split("\n")
    .filter((line) => line.includes(`"msg":"${message}"`))
    .map((line) => (JSON.parse(line) as Record<string, number>)[field] ?? NaN)
    .reduce((sum, count) => sum + count, 0);
}

async function countEvents(reader: Reader) {
  const [counts] = await reader.rows(
    "select count(*)::int as stored, count(*) filter (where state = 'processed')::int as processed from webhook_events",
  );
  return counts as { stored: number; processed: number };
}

describe("a first start in an empty folder", () => {
  test(
    "brings its own database, which outlives a sudden end with all that waits in it",
    async () => {
      const home = await makeFolder();
      // Nobody applies events, so that one waits when the process is killed.
      const first = startProcess("main.js", {
        cwd: home,
        env: { PORT: "0", ROLE: "api" },
      });
      const target = await baseUrlOf(first);
      const event = aStatusUpdate();

      const answer = await deliver(target, event, {
        secret: "whsec_development",
      });
      first.kill("SIGKILL");
      const end = await first.ended;
      const second = startProcess("main.js", {
        cwd: home,
        env: { PORT: "0", REQUEUE_PERIOD_MS: "300" },
      });
      await baseUrlOf(second);
      const url = await second.untilOutput(/psql '([^']+)'/);
      const reader = openReader(url);
      await untilApplied(reader.rows, 20_000);
      const cards = await reader.rows("select card_id, card_status from cards");
      await reader.close();
      second.kill("SIGTERM");

      expect(answer.body).toMatchObject({ status: "accepted" });
      expect(end).toBe("SIGKILL");
      expect(cards).toEqual([
        { card_id: event.data["card_id"], card_status: "FROZEN" },
      ]);
      expect(await second.ended).toBe(0);
      expect(second.stderr()).toBe("");
      await removeFolder(home);
    },
    LIMIT_MS,
  );

  test(
    "prints the webhook URL, the connection string and how to send a first event, which then works; SIGTERM ends it",
    async () => {
      const home = await makeFolder();
      const running = startProcess("main.js", {
        cwd: home,
        env: { PORT: "0" },
      });
      const url = await running.untilOutput(/webhook URL\s+(\S+)/);
      const databaseUrl = await running.untilOutput(/psql '([^']+)'/);
      const command = await running.untilOutput(/npm run cli -- (.*)/);

      const send = startProcess("cli.js", {
        cwd: home,
        args: [
          ...command.split(" "),
          "--set",
          "data.card_status=BLOCKED",
          "--new-id",
        ],
      });
      const code = await send.ended;
      const reader = openReader(databaseUrl);
      await untilApplied(reader.rows);
      const cards = await reader.rows("select card_status from cards");
      await reader.close();
      const ready = await fetch(new URL("/readyz", url));
      running.kill("SIGTERM");

      expect(code).toBe(0);
      expect(send.stdout()).toMatch(/^200 \{"status":"accepted"/);
      expect(cards).toEqual([{ card_status: "BLOCKED" }]);
      expect(ready.status).toBe(200);
      await expectOrderlyEnd(running);
      await removeFolder(home);
    },
    LIMIT_MS,
  );

  test(
    "is ended by Ctrl-C before the first event, too",
    async () => {
      const home = await makeFolder();
      const running = startProcess("main.js", {
        cwd: home,
        env: { PORT: "0" },
      });
      await baseUrlOf(running);

      running.kill("SIGINT");

      await expectOrderlyEnd(running);
      await removeFolder(home);
    },
    LIMIT_MS,
  );

  /** Every connection ends before the database that it goes to: no line says that one was lost. */
  async function expectOrderlyEnd(running: TestProcess): Promise<void> {
    expect(await running.ended).toBe(0);
    const [, afterwards = ""] = running.stdout().split('"msg":"stopping"}\n');
    expect(afterwards).toContain('"msg":"stopped"');
    expect(new Set(afterwards.match(/"level":\d+/g))).toEqual(
      new Set(['"level":30']),
    );
  }
});

describe("the line for psql that a start prints", () => {
  /** What psql is given when the line is pasted into a shell. */
  async function paste(line: string, env: Record<string, string>, cwd: string) {
    const shell = startCommand("sh", {
      args: ["-c", `psql() { printf '%s' "$1"; }; ${line}`],
      env,
      cwd,
    });
    await shell.ended;
    return shell.stdout();
  }

  test.each(["the environment", "a file .env"])(
    "works as it is pasted, with a DATABASE_URL in %s",
    async (place) => {
      const home = await makeFolder();
      const database = await createTestDatabase();
      const withName = new URL(database.url);
      withName.searchParams.set("application_name", "it's me");
      const url = withName.href;
      const env = { ...QUICK, LOG_LEVEL: "info" };
      const known = place === "a file .env" ? {} : { DATABASE_URL: url };
      if (place === "a file .env")
        await writeFile(join(home, ".env"), `DATABASE_URL="${url}"\n`);

      const running = startProcess("main.js", {
        cwd: home,
        env: { ...env, ...known },
      });
      const line = await running.untilOutput(/^ +database +(psql .*)$/m);
      const given = await paste(line, known, home);
      running.kill("SIGTERM");
      await running.ended;
      await database.drop();
      await removeFolder(home);

      expect(given).toBe(url);
      expect(running.stdout()).not.toContain(url);
    },
    LIMIT_MS,
  );
});

describe("what a person can put right", () => {
  test(
    "a taken port is named, with what to do, and without a stack",
    async () => {
      const database = await createTestDatabase();
      const taken = createServer().listen(0, "127.0.0.1");
      await once(taken, "listening");
      const { port } = taken.address() as AddressInfo;

      const running = startProcess("main.js", {
        cwd: folder,
        env: { ...QUICK, PORT: String(port), DATABASE_URL: database.url },
      });
      const code = await running.ended;
      taken.close();
      await once(taken, "close");
      await database.drop();

      expect(code).toBe(1);
      expect(running.stderr()).toMatch(
        new RegExp(`Port ${port} is taken.*PORT=`),
      );
      expect(running.stderr()).not.toMatch(/^\s+at /m);
    },
    LIMIT_MS,
  );

  test("every wrong variable is named at once, and no value", async () => {
    const wrong = [
      "PORT",
      "ROLE",
      "DATABASE_URL",
      "REDIS_URL",
      "WORKER_CONCURRENCY",
      "LOG_LEVEL",
      "UQPAY_SIGNATURE_TOLERANCE_SECONDS",
      "RETENTION_DAYS",
      "ADMIN_TOKEN",
      "OPS_PORT",
      "QUEUE_PREFIX",
    ];

    const { code, err, out } = await runCommandLine(["serve"], {
      ...Object.fromEntries(wrong.map((name) => [name, "canary:$"])),
      UQPAY_WEBHOOK_SECRET: "canary,,canary",
    });

    expect(code).toBe(1);
    for (const name of [...wrong, "UQPAY_WEBHOOK_SECRET"])
      expect(err).toContain(`${name}:`);
    expect(err + out).not.toContain("canary");
    expect(err).not.toMatch(/^\s+at /m);
  });

  test.each([
    ["nothing", {}, ["DATABASE_URL", "UQPAY_WEBHOOK_SECRET"]],
    [
      "the development secret",
      {
        DATABASE_URL: "postgres://x",
        UQPAY_WEBHOOK_SECRET: "a,whsec_development",
      },
      ["UQPAY_WEBHOOK_SECRET"],
    ],
  ])("production refuses to start with %s", async (_, env, names) => {
    const { code, err } = await runCommandLine(["serve"], {
      UQPAY_WEBHOOK_SECRET: "",
      ...env,
    });

    expect(code).toBe(1);
    for (const name of names) expect(err).toContain(`${name}:`);
  });

  test.each([
    [["frobnicate"], 2, /unknown command 'frobnicate'/],
    [["migrate"], 1, /DATABASE_URL/],
    [["--version"], 0, /^$/],
  ])(
    "the operator's tool is told %j, says what is wrong and ends with %i",
    async (args, exitCode, message) => {
      const running = startProcess("cli.js", {
        cwd: folder,
        args,
        env: { NODE_ENV: "production" },
      });

      const code = await running.ended;

      expect(code).toBe(exitCode);
      expect(running.stderr()).toMatch(message);
      expect(running.stderr()).not.toMatch(/^\s+at /m);
    },
  );
});

describe.each(queueKinds.filter(isAvailable))(
  "processes with their queue on %s",
  (queue) => {
    let database: TestDatabase;
    let reader: Reader;
    let prefix: string;
    let env: Record<string, string>;

    beforeAll(async () => {
      database = await createTestDatabase();
      reader = openReader(database.url);
      prefix = `test-${randomUUID()}`;
      env = {
        ...QUICK,
        DATABASE_URL: database.url,
        ...(queue === "redis" && {
          REDIS_URL: process.env["TEST_REDIS_URL"] ?? "",
          QUEUE_PREFIX: prefix,
        }),
      };
    });

    afterAll(async () => {
      await reader.close();
      await database.drop();
    });

    const start = (more: Record<string, string> = {}) =>
      startProcess("main.js", { cwd: folder, env: { ...env, ...more } });

    test(
      "SIGTERM under traffic ends it with 0 and in time, nothing acknowledged is lost, and its log tells of every event that it recorded and applied",
      async () => {
        const before = await countEvents(reader);
        const running = start();
        const target = await baseUrlOf(running);
        const { acknowledged, until, stop } = startTraffic(target);
        await until(100);

        const stoppedAt = performance.now();
        running.kill("SIGTERM");
        const code = await running.ended;
        const tookMs = performance.now() - stoppedAt;
        await stop();
        const afterStop = await statesOf(reader, acknowledged);
        const after = await countEvents(reader);
        const again = start();
        await baseUrlOf(again);
        await untilApplied(reader.rows, 20_000);

        expect(code).toBe(0);
        expect(running.stdout()).toContain('"msg":"stopped"');
        expect(running.stdout()).not.toContain("shutdown deadline passed");
        expect(tookMs).toBeLessThan(8_000);
        expect({
          stored: sumInLog(running.stdout(), "events recorded", "recorded"),
          processed: sumInLog(running.stdout(), "events reconciled", "count"),
        }).toEqual({
          stored: after.stored - before.stored,
          processed: after.processed - before.processed,
        });
        expect(afterStop["lost"]).toBeUndefined();
        expect(await statesOf(reader, acknowledged)).toEqual({
          processed: acknowledged.length,
        });
      },
      LIMIT_MS,
    );

    test(
      "npm start hands SIGTERM on to the service, and ends after it with 0",
      async () => {
        // Without its build: the other tests run what is built.
        const running = startCommand("npm", {
          args: ["start", "--ignore-scripts"],
          cwd: fileURLToPath(new URL("../../", import.meta.url)),
          env: {
            ...env,
            NODE_ENV: "production",
            HOST: "127.0.0.1",
            OPS_PORT: "0",
          },
        });
        const target = await baseUrlOf(running);
        const answer = await deliver(target, aStatusUpdate());

        running.kill("SIGTERM");
        const code = await running.ended;

        expect(answer.status).toBe(200);
        expect(code).toBe(0);
        expect(running.stdout()).toContain('"msg":"stopped"');
        await expect(deliver(target, aStatusUpdate())).rejects.toThrow();
      },
      LIMIT_MS,
    );

    test(
      "SIGKILL under traffic loses nothing that was acknowledged",
      async () => {
        const running = start();
        const target = await baseUrlOf(running);
        const { acknowledged, stop } = startTraffic(target);
        await waitFor(
          async () =>
            acknowledged.length > 50 &&
            (await statesOf(reader, acknowledged))["received"] !== undefined,
          { what: "an event that waits, after many that were answered" },
        );

        running.kill("SIGKILL");
        await running.ended;
        await stop();
        const again = start();
        await baseUrlOf(again);
        await untilApplied(reader.rows, 30_000);

        expect(await statesOf(reader, acknowledged)).toEqual({
          processed: acknowledged.length,
        });
      },
      LIMIT_MS,
    );

    test(
      "a database that ends every connection under traffic does not end the process",
      async () => {
        const running = start();
        const target = await baseUrlOf(running);
        const { acknowledged, refused, until, stop } = startTraffic(target);
        await until(50);

        for (let round = 0; round < 10; round++) {
          const before = acknowledged.length;
          await reader.rows(
            `select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()
               and application_name like 'uqpay%'`,
          );
          await waitFor(
            () =>
              Promise.resolve(
                acknowledged.length > before + 20 || running.stderr() !== "",
              ),
            {
              what: "traffic to go on",
            },
          );
        }
        await stop();

        expect(running.stderr()).toBe("");
        await untilApplied(reader.rows, 20_000);
        expect(refused.filter((status) => status !== 503)).toEqual([]);
        expect(await statesOf(reader, acknowledged)).toEqual({
          processed: acknowledged.length,
        });
      },
      LIMIT_MS,
    );

    test(
      "api and worker are two processes on one database",
      async () => {
        const worker = start({ ROLE: "worker" });
        const api = start({ ROLE: "api" });
        const target = await baseUrlOf(api);
        const workerUrl = await baseUrlOf(worker);
        const event = aStatusUpdate();

        const answer = await deliver(target, event);
        const noAnswer = await deliver(workerUrl, aStatusUpdate());
        await untilApplied(reader.rows);
        const workerHealth = await fetch(`${workerUrl.baseUrl}/readyz`);

        expect(answer.body).toMatchObject({ status: "accepted" });
        expect(noAnswer.status).toBe(404);
        expect(workerHealth.status).toBe(200);
        expect(await statesOf(reader, [event.event_id])).toEqual({
          processed: 1,
        });
      },
      LIMIT_MS,
    );

    test(
      "neither its output nor its queue holds anything personal or secret",
      async () => {
        // No worker, so that the queue keeps what it was given.
        const running = start({ ROLE: "api", LOG_LEVEL: "trace" });
        const target = await baseUrlOf(running);
        const canaries = [
          SECRET,
          "4096360812348664",
          "****",
          "Corki",
          "Jarvan",
          "Chen",
          "example.com",
          "utddluuo",
          "12344444",
          "111111",
          "57609685",
          "12341234",
          "612607870",
          "87654321",
          "1998-10-11",
          "W6MJU9",
          "ACQUIRER NAME",
          "Forbid MCC",
          "canary",
        ];

        for (const name of payloadNames())
          await deliver(target, compactBytes(name));
        const pan = anMccDecline({
          card_number: "4096360812348664",
          description: "canary",
        });
        await deliver(target, pan);
        await deliver(target, pan, { secret: "whsec_canary" });
        await deliver(target, pan, { atMs: Date.now() - 400_000 });
        await deliver(target, { ...pan, data: { ...pan.data, card_id: null } });
        await deliver(target, '{"canary"');
        running.kill("SIGTERM");
        await running.ended;

        const queued =
          queue === "redis"
            ? await redisContent(prefix)
            : await postgresContent();
        expect(queued).toContain(pan.event_id);
        for (const canary of canaries) {
          expect(running.stdout()).not.toContain(canary);
          expect(running.stderr()).not.toContain(canary);
          expect(queued).not.toContain(canary);
        }
        expect(running.stdout()).not.toMatch(/[0-9a-f]{128}/i);
        expect(queued).not.toMatch(/[0-9a-f]{128}/i);
      },
      LIMIT_MS,
    );

    async function postgresContent(): Promise<string> {
      const tables = await reader.rows(
        "select table_name from information_schema.tables where table_schema = 'bullmq' and table_type = 'BASE TABLE'",
      );
      const contents: string[] = [];
      for (const { table_name } of tables) {
        const rows = await reader.rows(
          `select t::text as row from bullmq."${String(table_name)}" t`,
        );
        contents.push(...rows.map(({ row }) => String(row)));
      }
      return contents.join("\n");
    }
  },
);

/** Every key of a queue with all that it holds, as text. */
async function redisContent(prefix: string): Promise<string> {
  const redis = new Redis(process.env["TEST_REDIS_URL"] ?? "");
  try {
    const keys = await redis.keys(`${prefix}*`);
    const contents = await Promise.all(
      keys.map((key) => contentOf(redis, key)),
    );
    return JSON.stringify(contents);
  } finally {
    redis.disconnect();
  }
}

async function contentOf(redis: Redis, key: string): Promise<unknown> {
  const type = await redis.type(key);
  switch (type) {
    case "string":
      return [key, await redis.get(key)];
    case "list":
      return [key, await redis.lrange(key, 0, -1)];
    case "set":
      return [key, await redis.smembers(key)];
    case "zset":
      return [key, await redis.zrange(key, "0", "-1")];
    case "hash":
      return [key, await redis.hgetall(key)];
    case "stream":
      return [key, await redis.xrange(key, "-", "+")];
    default:
      throw new Error(`an unexpected type of key: ${type}`);
  }
}
