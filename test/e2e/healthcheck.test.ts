import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { fileURLToPath } from "node:url";
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
import { endProcesses, startCommand } from "../support/process.ts";
import { findFreePort } from "../support/redis-server.ts";
import { startTestService } from "../support/service.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** As in Docker: a health check that takes longer has failed. */
const TIMEOUT_MS = 3_000;

const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((each) => each?.address === "::1");

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterEach(endProcesses);

afterAll(async () => {
  await database.drop();
});

/** Runs what the Dockerfile says, as Docker does: in the image's folder, with the container's environment. */
async function runHealthcheck(env: Readonly<Record<string, string>>) {
  const dockerfile = readFileSync(`${root}/Dockerfile`, "utf8");
  const command = /^HEALTHCHECK .*\\\n +CMD (\[.*\])$/m.exec(dockerfile)?.[1];
  const [program = "", ...args] = JSON.parse(command ?? "[]") as string[];
  const startedAt = Date.now();
  const running = startCommand(program, { cwd: root, args, env });
  const code = await running.ended;
  return { code, ms: Date.now() - startedAt, output: running.stderr() };
}

describe("the image's health check", () => {
  test.each([
    ["is not set", undefined],
    ["is blank", " "],
    ["is every address", "0.0.0.0"],
    ["is one address", "127.0.0.1"],
    ["is another address", "127.0.0.2"],
    ["is a name", "localhost"],
    ...(hasIpv6
      ? [
          ["is every address of IPv6", "::"],
          ["is one address of IPv6", "::1"],
        ]
      : []),
  ])("asks where the service listens when HOST %s", async (_what, host) => {
    const env: Record<string, string> = {
      NODE_ENV: "production",
      DATABASE_URL: database.url,
      PORT: String(await findFreePort()),
      OPS_PORT: String(await findFreePort()),
      ...(host !== undefined && { HOST: host }),
    };
    const service = await startTestService({
      queue: "postgres",
      database,
      env: { ...env, ROLE: "api" },
    });

    const whileItRuns = await runHealthcheck(env);
    await service.stop();
    const afterwards = await runHealthcheck(env);

    expect(whileItRuns).toMatchObject({ code: 0, output: "" });
    expect(afterwards).toMatchObject({ code: 1, output: "" });
  });

  test("fails in time where something listens and does not answer", async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const address = silent.address() as { readonly port: number };

    const { code, ms } = await runHealthcheck({
      HOST: "127.0.0.1",
      PORT: String(address.port),
    });
    silent.close();

    expect(code).toBe(1);
    expect(ms).toBeLessThan(TIMEOUT_MS);
  });

  test("fails where what answers is not healthy", async () => {
    const answering = createServer((socket) => {
      socket.once("data", () => {
        socket.end(
          "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        );
      });
    }).listen(0, "127.0.0.1");
    await once(answering, "listening");
    const address = answering.address() as { readonly port: number };

    const { code } = await runHealthcheck({ PORT: String(address.port) });
    answering.close();

    expect(code).toBe(1);
  });
});
