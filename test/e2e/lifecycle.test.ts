import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
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
import { QUICK, openReader, statesOf } from "../support/service.ts";
import { waitFor } from "../support/wait-for.ts";

let database: TestDatabase;
let folder: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await makeFolder();
  database = await createTestDatabase();
});

afterEach(async () => {
  await endProcesses();
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  await database.drop();
  await removeFolder(folder);
});

function start(env: Record<string, string> = {}): TestProcess {
  return startProcess("main.js", {
    cwd: folder,
    env: { ...QUICK, DATABASE_URL: database.url, ...env },
  });
}

interface Target {
  readonly baseUrl: string;
}

const readiness = ({ baseUrl }: Target) => fetch(`${baseUrl}/readyz`);

const untilNotReady = (target: Target) =>
  waitFor(async () => (await readiness(target)).status === 503, {
    what: "readyz to say 503",
  });

describe("a stop", () => {
  test("says first that it is not ready, and takes deliveries until SHUTDOWN_DELAY_MS is over", async () => {
    const running = start({ SHUTDOWN_DELAY_MS: "2500" });
    const target = await baseUrlOf(running);
    const before = await readiness(target);
    const first = aStatusUpdate();
    const last = aStatusUpdate();
    const answerBefore = await deliver(target, first);

    const stoppedAt = performance.now();
    // As npm and a process group send it: twice.
    running.kill("SIGTERM");
    running.kill("SIGTERM");
    await untilNotReady(target);
    const ready = await readiness(target);
    const answer = await deliver(target, last);
    const health = await fetch(`${target.baseUrl}/healthz`);
    const code = await running.ended;
    const reader = openReader(database.url);
    const states = await statesOf(reader, [first.event_id, last.event_id]);
    await reader.close();

    expect([before.status, before.headers.get("connection")]).toEqual([
      200,
      "keep-alive",
    ]);
    expect(answerBefore.headers.get("connection")).toBe("keep-alive");
    expect(await ready.json()).toMatchObject({ status: "stopping" });
    expect([answer.status, health.status, code]).toEqual([200, 200, 0]);
    // The next request of whoever balances the load goes elsewhere.
    expect(answer.headers.get("connection")).toBe("close");
    expect(performance.now() - stoppedAt).toBeGreaterThan(2_400);
    expect(running.stdout()).toContain('"msg":"stopped"');
    expect(states["lost"]).toBeUndefined();
  });

  test("does not wait any more when it is asked for again", async () => {
    const running = start({ SHUTDOWN_DELAY_MS: "60000" });
    const target = await baseUrlOf(running);
    let hasEnded = false;
    void running.ended.then(() => (hasEnded = true));

    await waitFor(
      () => {
        if (!hasEnded) running.kill("SIGTERM");
        return Promise.resolve(hasEnded);
      },
      { what: "the end", timeoutMs: 20_000 },
    );

    expect(await running.ended).toBe(0);
    expect(running.stdout()).toContain('"msg":"stopped"');
    await expect(readiness(target)).rejects.toThrow();
  });

  test.each(["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const)(
    "is the same in order by %s",
    async (signal) => {
      const running = start();
      await baseUrlOf(running);

      running.kill(signal);

      expect(await running.ended).toBe(0);
      expect(running.stdout()).toContain(`"signal":"${signal}"`);
      expect(running.stdout()).toContain('"msg":"stopped"');
    },
  );
});

test("the first line of a start says which version listens where", async () => {
  const running = start({ OPS_PORT: "0", KEEP_ALIVE_SECOND: "600" });
  const { baseUrl } = await baseUrlOf(running);
  const opsPort = await running.untilOutput(/"opsPort":(\d+)/);
  const version = await running.untilOutput(
    /"version":"([^"]+)".*"msg":"listening"/,
  );
  const health = (await (await fetch(`${baseUrl}/healthz`)).json()) as object;
  const metrics = await fetch(`http://127.0.0.1:${opsPort}/metrics`);

  expect(health).toEqual({ status: "ok", version });
  expect(metrics.status).toBe(200);
  expect((await fetch(`${baseUrl}/metrics`)).status).toBe(404);
  // A misspelt name is told, too.
  expect(running.stdout()).toContain(
    '"variable":"KEEP_ALIVE_SECOND","nearest":"KEEP_ALIVE_SECONDS"',
  );
});

describe("a log that nobody reads", () => {
  /** What the service writes goes into a pipe whose reader never reads. */
  async function startIntoPipe(env: Record<string, string>) {
    const reader = spawn("sleep", ["600"], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    children.push(reader);
    const port = await findFreePort();
    const service = spawn(
      process.execPath,
      [fileURLToPath(new URL("../../dist/src/main.js", import.meta.url))],
      {
        cwd: folder,
        env: {
          PATH: process.env["PATH"],
          ...QUICK,
          DATABASE_URL: database.url,
          PORT: String(port),
          ...env,
        },
        stdio: ["ignore", reader.stdin, reader.stdin],
      },
    );
    children.push(service);
    const target = { baseUrl: `http://127.0.0.1:${port}` };
    await waitFor(async () => (await readiness(target)).status === 200, {
      what: "the service to be ready",
      timeoutMs: 30_000,
    });
    return { reader, service, target };
  }

  async function findFreePort(): Promise<number> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    return port;
  }

  /** More lines than a pipe holds. */
  async function fill(target: Target): Promise<Set<number>> {
    const statuses = new Set<number>();
    for (let round = 0; round < 60; round++) {
      const answers = await Promise.all(
        Array.from({ length: 40 }, () => deliver(target, aStatusUpdate())),
      );
      for (const { status } of answers) statuses.add(status);
    }
    return statuses;
  }

  test("holds neither an answer nor the end", async () => {
    const { service, target } = await startIntoPipe({ LOG_LEVEL: "trace" });

    const statuses = await fill(target);
    const exited = once(service, "exit");
    service.kill("SIGTERM");
    const [code] = (await exited) as [number | null];

    expect(statuses).toEqual(new Set([200]));
    expect(code).toBe(0);
  });

  test("and whose reader is gone ends nothing", async () => {
    const { reader, service, target } = await startIntoPipe({
      LOG_LEVEL: "trace",
    });

    const gone = once(reader, "exit");
    reader.kill("SIGKILL");
    await gone;
    reader.stdin.destroy();
    const statuses = new Set<number>();
    for (let count = 0; count < 20; count++)
      statuses.add((await deliver(target, aStatusUpdate())).status);
    const exited = once(service, "exit");
    service.kill("SIGTERM");
    const [code] = (await exited) as [number | null];

    expect(statuses).toEqual(new Set([200]));
    expect(code).toBe(0);
  });
});
