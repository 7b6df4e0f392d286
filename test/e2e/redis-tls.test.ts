import { join } from "node:path";
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  test,
} from "@jest/globals";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { aStatusUpdate, deliver } from "../support/deliveries.ts";
import { codeBlockWith } from "../support/markdown.ts";
import {
  baseUrlOf,
  endProcesses,
  makeFolder,
  removeFolder,
  startProcess,
} from "../support/process.ts";
import { haveAll, runProgram } from "../support/programs.ts";
import type { RedisServer } from "../support/redis-server.ts";
import { findFreePort, startRedisServer } from "../support/redis-server.ts";
import {
  QUICK,
  SECRET,
  isAvailable,
  openReader,
  untilApplied,
} from "../support/service.ts";

const describeHere =
  isAvailable("redis") && haveAll(["openssl"]) ? describe : describe.skip;

describeHere("a Redis whose certificate is of a private authority", () => {
  let folder: string;
  let database: TestDatabase;
  let redis: RedisServer;
  let documented: Record<string, string>;

  beforeAll(async () => {
    folder = await makeFolder();
    database = await createTestDatabase();
    runProgram(
      "openssl",
      [
        "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=redis.internal",
        "-addext subjectAltName=DNS:localhost",
        `-keyout ${folder}/key.pem -out ${folder}/ca.pem`,
      ].flatMap((part) => part.split(" ")),
    );
    const tlsPort = String(await findFreePort());
    redis = await startRedisServer(
      [
        `--tls-port ${tlsPort} --tls-auth-clients no`,
        `--tls-cert-file ${folder}/ca.pem --tls-key-file ${folder}/key.pem`,
        `--tls-ca-cert-file ${folder}/ca.pem`,
        "--user cards on >p@ss ~* &* +@all",
      ].flatMap((part) => part.split(" ")),
    );
    const block = codeBlockWith("docs/deploy.md", "sh", "rediss://");
    documented = Object.fromEntries(
      [...block.matchAll(/^([A-Z_]+)='?([^'\n]*)'?$/gm)].map(
        ([, name = "", value = ""]) => [
          name,
          value
            .replace("redis.internal:6379", `localhost:${tlsPort}`)
            .replace("/etc/ssl/cards", folder),
        ],
      ),
    );
  });

  afterEach(endProcesses);

  afterAll(async () => {
    await redis.stop();
    await database.drop();
    await removeFolder(folder);
  });

  async function start(env: Readonly<Record<string, string>>) {
    const running = startProcess("main.js", {
      cwd: folder,
      env: { ...QUICK, DATABASE_URL: database.url, ...env },
    });
    return { running, ...(await baseUrlOf(running)) };
  }

  async function readinessOf(baseUrl: string): Promise<unknown> {
    return (await fetch(`${baseUrl}/readyz`)).json();
  }

  test("is used as docs/deploy.md has it", async () => {
    const { baseUrl, running } = await start(documented);
    const { status } = await deliver({ baseUrl }, aStatusUpdate(), {
      secret: SECRET,
    });
    const reader = openReader(database.url);
    await untilApplied(reader.rows);
    await reader.close();

    expect(documented).toEqual({
      REDIS_URL: expect.stringMatching(/^rediss:\/\/cards:p%40ss@localhost:/),
      NODE_EXTRA_CA_CERTS: join(folder, "ca.pem"),
    });
    expect(status).toBe(200);
    expect(await readinessOf(baseUrl)).toMatchObject({
      status: "ready",
      queue: { status: "up" },
    });
    running.kill("SIGTERM");
    expect(await running.ended).toBe(0);
    expect(running.stderr()).toBe("");
  });

  test("is not believed without it, and events are taken in all the same", async () => {
    const { REDIS_URL = "" } = documented;
    const { baseUrl, running } = await start({ REDIS_URL });
    const { status } = await deliver({ baseUrl }, aStatusUpdate(), {
      secret: SECRET,
    });

    await running.untilOutput(/self-signed certificate/);

    expect(status).toBe(200);
    expect(await readinessOf(baseUrl)).toMatchObject({
      status: "degraded",
      queue: { status: "down" },
    });
    expect(running.stdout()).not.toContain("p@ss");
    expect(running.stdout()).not.toContain("p%40ss");
  });
});
