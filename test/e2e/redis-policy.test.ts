import {
  afterEach,
  beforeAll,
  afterAll,
  describe,
  expect,
  test,
} from "@jest/globals";
import { Redis } from "ioredis";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { aStatusUpdate, deliver } from "../support/deliveries.ts";
import type { TestProcess } from "../support/process.ts";
import {
  baseUrlOf,
  endProcesses,
  makeFolder,
  removeFolder,
  startProcess,
} from "../support/process.ts";
import type { RedisServer } from "../support/redis-server.ts";
import { startRedisServer } from "../support/redis-server.ts";
import {
  QUICK,
  SECRET,
  isAvailable,
  openReader,
  untilApplied,
} from "../support/service.ts";
import { waitFor } from "../support/wait-for.ts";

const describeWithRedis = isAvailable("redis") ? describe : describe.skip;

describeWithRedis("a Redis that may forget", () => {
  let database: TestDatabase;
  let folder: string;
  let redis: RedisServer | undefined;

  beforeAll(async () => {
    database = await createTestDatabase();
    folder = await makeFolder();
  });

  afterEach(async () => {
    await endProcesses();
    await redis?.stop();
    redis = undefined;
  });

  afterAll(async () => {
    await database.drop();
    await removeFolder(folder);
  });

  async function startOn(
    args: readonly string[],
    login = "",
  ): Promise<TestProcess> {
    redis = await startRedisServer(args);
    return startProcess("main.js", {
      cwd: folder,
      env: {
        ...QUICK,
        DATABASE_URL: database.url,
        REDIS_URL: redis.url.replace("//", `//${login}`),
      },
    });
  }

  /** An event has gone by way of the queue, so what is to be said of it at the start has been said. */
  async function useQueue(running: TestProcess): Promise<void> {
    const target = await baseUrlOf(running);
    const { status } = await deliver(target, aStatusUpdate(), {
      secret: SECRET,
    });
    expect(status).toBe(200);
    const reader = openReader(database.url);
    await untilApplied(reader.rows);
    await reader.close();
  }

  /** Everything that was written about it, by whomever. */
  async function warningsOf(running: TestProcess): Promise<string[]> {
    running.kill("SIGTERM");
    expect(await running.ended).toBe(0);
    return `${running.stdout()}${running.stderr()}`
      .split("\n")
      .filter((line) => /evict|maxmemory|IMPORTANT/i.test(line));
  }

  test.each([
    ["", "allkeys-lru", ["--maxmemory-policy", "allkeys-lru"], ""],
    [
      " where CONFIG does not exist, as on managed servers",
      "volatile-lru",
      ["--maxmemory-policy", "volatile-lru", "--rename-command", "CONFIG", ""],
      "",
    ],
    [
      " where the login may not use INFO",
      "allkeys-lfu",
      [
        ["--maxmemory-policy", "allkeys-lfu"],
        ["--user", ..."service on >pw ~* &* +@all -info".split(" ")],
      ].flat(),
      "service:pw@",
    ],
  ])("is warned of in one line%s: %s", async (_where, policy, args, login) => {
    const running = await startOn(args, login);

    await running.untilOutput(/"policy":/);
    await useQueue(running);

    const [warning = "{}", ...others] = await warningsOf(running);
    expect(JSON.parse(warning)).toMatchObject({
      level: 40,
      policy,
      advice: "set maxmemory-policy to noeviction",
    });
    expect(others).toEqual([]);
  });

  test("is not warned of when it keeps everything, or does not say", async () => {
    const keeping = await startOn(["--maxmemory-policy", "noeviction"]);
    await useQueue(keeping);
    expect(await warningsOf(keeping)).toEqual([]);
    await redis?.stop();

    const silent = await startOn(
      ["--user", ..."service on >pw ~* &* +@all -info -config".split(" ")],
      "service:pw@",
    );
    await useQueue(silent);
    expect(await warningsOf(silent)).toEqual([]);
  });

  test("is warned of again when it comes back with another policy, and not when it only comes back", async () => {
    const running = await startOn(["--maxmemory-policy", "allkeys-lru"]);
    const client = new Redis(redis?.url ?? "");
    const closeAll = async () =>
      client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await running.untilOutput(/"policy":"allkeys-lru"/);

    await closeAll();
    await useQueue(running);
    await client.config("SET", "maxmemory-policy", "allkeys-random");
    await waitFor(
      async () => {
        await closeAll();
        return running.stdout().includes('"policy":"allkeys-random"');
      },
      { what: "the other policy to be warned of" },
    );
    await client.quit();

    const policies = (await warningsOf(running)).map(
      (line) => (JSON.parse(line) as { policy: string }).policy,
    );
    expect(policies).toEqual(["allkeys-lru", "allkeys-random"]);
  });
});
