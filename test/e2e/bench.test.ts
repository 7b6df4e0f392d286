import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import {
  endProcesses,
  makeFolder,
  removeFolder,
  startCommand,
} from "../support/process.ts";

let folder: string;

beforeEach(async () => {
  folder = await makeFolder();
});

afterEach(async () => {
  await endProcesses();
  await removeFolder(folder);
});

function startBench(...args: readonly string[]) {
  const shortest = ["--queue", "postgres", "--runs", "1", "--seconds", "0.2"];
  return startCommand(process.execPath, {
    cwd: folder,
    args: [fileOf("bench/run.mjs"), ...shortest, ...args],
    env: {},
  });
}

function fileOf(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

/** One that answers as the service does, and forgets. */
async function buildForgetfulService(): Promise<void> {
  await mkdir(join(folder, "dist/src"), { recursive: true });
  await writeFile(join(folder, "package.json"), `{ "type": "module" }`);
  await writeFile(
    join(folder, "dist/src/cli.js"),
    `import ${JSON.stringify(fileOf("dist/src/cli.js"))};`,
  );
  await writeFile(
    join(folder, "dist/src/main.js"),
    `import { createServer } from "node:http";
     const server = createServer((request, response) => {
       request.resume().on("end", () => response.end("{}"));
     }).listen(0, "127.0.0.1", () => {
       const { port } = server.address();
       console.log(JSON.stringify({ msg: "listening", port }));
     });`,
  );
}

test("the benchmark has the plain service and the service keep and apply all that they accept", async () => {
  const bench = startBench("--only", "drain", "felt");

  expect(await bench.ended).toBe(0);
  expect(bench.stdout()).toMatch(/^drain, postgres +events\/s( +\d\S*){4}$/m);
  expect(bench.stdout()).toMatch(/^felt, postgres +row p99, ms( +\d\S*){4}$/m);
  expect(bench.stderr()).not.toContain("INVALID");
}, 120_000);

test("the benchmark refuses the figures of a build that loses what it accepted", async () => {
  await buildForgetfulService();

  const bench = startBench("--compare", folder, "--only", "answers");

  expect(await bench.ended).toBe(1);
  expect(bench.stderr()).toMatch(
    /^answers on postgres, other build: INVALID: \d+ events were accepted and are not kept/m,
  );
  expect(bench.stderr()).toMatch(/^answers on postgres, this build: \d/m);
  expect(bench.stdout()).toMatch(/^answers, postgres +INVALID +NaN/m);
}, 120_000);
