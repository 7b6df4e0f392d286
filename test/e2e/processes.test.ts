import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  test,
} from "@jest/globals";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import type { TestProcess } from "../support/process.ts";
import {
  baseUrlOf,
  endProcesses,
  makeFolder,
  removeFolder,
  startProcess,
} from "../support/process.ts";
import type { Reader } from "../support/service.ts";
import {
  QUICK,
  openReader,
  statesOf,
  untilApplied,
} from "../support/service.ts";
import { endTraffic, startTraffic } from "../support/traffic.ts";
import { waitFor } from "../support/wait-for.ts";

let folder: string;
let database: TestDatabase;
let reader: Reader;

beforeAll(async () => {
  folder = await makeFolder();
});

beforeEach(async () => {
  database = await createTestDatabase();
  reader = openReader(database.url);
});

afterEach(async () => {
  await endProcesses();
  await endTraffic();
  await reader.close();
  await database.drop();
});

afterAll(async () => {
  await removeFolder(folder);
});

function startTwo(env: Record<string, string> = {}): TestProcess {
  return startProcess("main.js", {
    cwd: folder,
    env: { ...QUICK, PROCESSES: "2", DATABASE_URL: database.url, ...env },
  });
}

async function writeSecret(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

/** Which of the processes have said this. */
function membersIn(output: string, message: string): Set<string> {
  const pattern = new RegExp(`"process":(\\d+).*"msg":"${message}"`, "g");
  return new Set([...output.matchAll(pattern)].map(([, id]) => String(id)));
}

async function valueOf(
  { baseUrl }: { baseUrl: string },
  metric: string,
): Promise<number> {
  const response = await fetch(`${baseUrl}/metrics`, { headers });
  const text = await response.text();
  const line = text.split("\n").find((line) => line.startsWith(metric)) ?? "";
  return Number(line.split(" ").at(-1));
}

/** The processes that it has started, in their order, ended ones too. */
function pidsIn(output: string): number[] {
  const lines = output.matchAll(/"pid":(\d+),"msg":"process ready"/g);
  return [...lines].map(([, pid]) => Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** For each delivery a new connection: which process takes it is the system's choice. */
const headers = { connection: "close" };

describe("two processes on one port", () => {
  test("share deliveries and work, and each tells the metrics of both", async () => {
    const running = startTwo();
    const target = await baseUrlOf(running);

    const traffic = startTraffic(target, headers);
    for (const done of ["events recorded", "events reconciled"])
      await waitFor(
        () => Promise.resolve(membersIn(running.stdout(), done).size === 2),
        { what: `${done} by both`, timeoutMs: 30_000 },
      );
    await traffic.stop();
    await untilApplied(reader.rows);

    expect(traffic.refused).toEqual([]);
    const count = traffic.acknowledged.length;
    const accepted = 'uqpay_webhook_requests_total{outcome="accepted"}';
    // At once, too: many that wait for the other processes' answers must not pile up.
    const scrapes = Array.from({ length: 60 }, () => valueOf(target, accepted));
    expect(new Set(await Promise.all(scrapes))).toEqual(new Set([count]));
    expect(running.stderr()).toBe("");
    expect(await valueOf(target, "uqpay_oldest_unprocessed_seconds")).toBe(0);
    expect(
      await reader.rows("select count(*)::int as count from cards"),
    ).toEqual([{ count }]);
  });

  test("lose nothing when one is killed, and are two again", async () => {
    const running = startTwo();
    const target = await baseUrlOf(running);
    const [victim = 0] = pidsIn(running.stdout());

    const traffic = startTraffic(target, headers);
    await traffic.until(100);
    process.kill(victim, "SIGKILL");
    await running.untilOutput(/"signal":"SIGKILL".*"msg":"process ended"/);
    await waitFor(
      () =>
        Promise.resolve(
          membersIn(running.stdout(), "events reconciled").has("3"),
        ),
      { what: "the third process to work", timeoutMs: 20_000 },
    );
    await traffic.stop();
    await untilApplied(reader.rows);

    expect(await statesOf(reader, traffic.acknowledged)).toEqual({
      processed: traffic.acknowledged.length,
    });
    expect(pidsIn(running.stdout()).filter(isAlive)).toHaveLength(2);
  });

  test("SIGTERM to the first stops all, with 0", async () => {
    const running = startTwo({
      DATABASE_URL: "",
      DATABASE_URL_FILE: await writeSecret("database-url", database.url),
    });
    await baseUrlOf(running);
    const members = pidsIn(running.stdout());

    running.kill("SIGTERM");

    expect(await running.ended).toBe(0);
    expect(members).toHaveLength(2);
    expect(members.filter(isAlive)).toEqual([]);
    expect(membersIn(running.stdout(), "stopped")).toEqual(new Set(["1", "2"]));
    expect(running.stderr()).toBe("");
  });

  test("end by themselves when the first is killed", async () => {
    const running = startTwo();
    await baseUrlOf(running);
    const members = pidsIn(running.stdout());
    expect(members).toHaveLength(2);

    running.kill("SIGKILL");
    await running.ended;

    await waitFor(() => Promise.resolve(!members.some(isAlive)), {
      what: "the others to end",
      timeoutMs: 10_000,
    });
  });

  test("do not start on a port that is taken, and say so once", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;

    const running = startTwo({ PORT: String(port) });
    const code = await running.ended;
    taken.close();

    expect(code).toBe(1);
    expect(running.stderr().match(/Port \d+ is taken/g)).toHaveLength(1);
    expect(running.stderr()).not.toMatch(/^\s+at /m);
  });
});
