import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import {
  aCardUpdate,
  anAuthorization,
  aStatusUpdate,
  bytesOf,
} from "../support/deliveries.ts";
import { signedHeaders } from "../support/fixtures.ts";
import {
  baseUrlOf,
  endProcesses,
  makeFolder,
  removeFolder,
  startCommand,
} from "../support/process.ts";
import type { Reader } from "../support/service.ts";
import { openReader, SECRET, untilApplied } from "../support/service.ts";

// What the benchmark compares the service with uses parts of it without their types: only running it tells whether it
// still can.

let folder: string;
let database: TestDatabase;
let reader: Reader;

beforeEach(async () => {
  folder = await makeFolder();
  database = await createTestDatabase();
  reader = openReader(database.url);
});

afterEach(async () => {
  await endProcesses();
  await reader.close();
  await database.drop();
  await removeFolder(folder);
});

interface Run {
  readonly role?: "api" | "worker" | "all";
  readonly argument?: string;
}

function start(baseline: string, { role = "api", argument = "" }: Run = {}) {
  const file = new URL(`../../bench/baselines/${baseline}`, import.meta.url);
  return startCommand(process.execPath, {
    cwd: folder,
    args: [fileURLToPath(file), argument],
    env: {
      NODE_ENV: "production",
      HOST: "127.0.0.1",
      PORT: "0",
      OPS_PORT: "0",
      ROLE: role,
      DATABASE_URL: database.url,
      UQPAY_WEBHOOK_SECRET: SECRET,
    },
  });
}

/** One event of each type, with the statuses that they are answered with. */
async function deliverAll(
  { baseUrl }: { readonly baseUrl: string },
  secret = SECRET,
): Promise<number[]> {
  const answers = [aStatusUpdate(), aCardUpdate(), anAuthorization()].map(
    (event) => {
      const body = bytesOf(event);
      const headers = signedHeaders(body, { secret, atMs: Date.now() });
      const url = `${baseUrl}/webhooks/uqpay`;
      return fetch(url, { method: "POST", headers, body });
    },
  );
  return (await Promise.all(answers)).map(({ status }) => status);
}

async function count(table: string): Promise<number> {
  const [row] = await reader.rows(`select count(*)::int as n from ${table}`);
  return Number(row?.["n"]);
}

describe.each([
  { baseline: "bare-http.mjs", keeps: 0 },
  { baseline: "shell-without-database.mjs", keeps: 0 },
  { baseline: "shell-with-inbox.mjs", keeps: 3 },
  { baseline: "least-durable.mjs", keeps: 3 },
  { baseline: "plain-service.mjs", keeps: 3 },
  { baseline: "silent-product.mjs", keeps: 3 },
])("$baseline", ({ baseline, keeps }) => {
  test(`accepts what is genuine, refuses what is forged, and keeps ${String(keeps)} of three events`, async () => {
    const target = await baseUrlOf(start(baseline));

    expect(await deliverAll(target)).toEqual([200, 200, 200]);
    expect(await deliverAll(target, "whsec_wrong")).toEqual([401, 401, 401]);

    expect(await count("webhook_events")).toBe(keeps);
  });
});

test("plain-service.mjs applies what it took in", async () => {
  const service = start("plain-service.mjs", { role: "all" });
  await deliverAll(await baseUrlOf(service));

  await untilApplied(reader.rows);

  expect(await count("cards")).toBe(3);
  expect(await count("authorizations")).toBe(1);
});

test("least-worker.mjs applies what waits", async () => {
  await deliverAll(await baseUrlOf(start("shell-with-inbox.mjs")));

  start("least-worker.mjs", { role: "worker" });
  await untilApplied(reader.rows);

  expect(await count("cards")).toBe(3);
  expect(await count("authorizations")).toBe(1);
});

test("single-inserts.mjs tells how long its commits took, and how long who comes at any time waits for them", async () => {
  const inserts = start("single-inserts.mjs", {
    argument: JSON.stringify({
      databaseUrl: database.url,
      clients: 1,
      seconds: 0.2,
      warmUpSeconds: 0.1,
    }),
  });

  const result = JSON.parse(await inserts.untilOutput(/RESULT (.*)\n/)) as {
    readonly [figure: string]: number;
  };

  const { requests = 0, warmUps = 0, p50Ms = NaN, anyTimeP99Ms } = result;
  expect(await count("webhook_events")).toBe(requests + warmUps);
  expect(anyTimeP99Ms).toBeGreaterThan(p50Ms);
});

test("compare.mjs tells what recording and applying cost two builds", async () => {
  const fileOf = (path: string) =>
    fileURLToPath(new URL(`../../${path}`, import.meta.url));
  const compare = startCommand(process.execPath, {
    cwd: folder,
    args: [
      fileOf("bench/compare.mjs"),
      fileOf("dist"),
      ...["--batch", "10", "--batches", "3"],
    ],
    env: {},
  });

  expect(await compare.ended).toBe(0);
  expect(compare.stdout()).toMatch(
    /^(?:(?:applied|recorded), (?:PostgreSQL|Node\.js) +(?:[\d.]+|NaN) us +(?:[\d.]+|NaN) us .* ± .*\n){4}$/,
  );
});
