import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { aStatusUpdate, deliver } from "../support/deliveries.ts";
import {
  baseUrlOf,
  endProcesses,
  makeFolder,
  removeFolder,
  startCommand,
} from "../support/process.ts";

/** What has V8's own functions, which need a flag, tell on a signal whether the methods of strings are fast. */
const TELLS_OF_STRINGS = `data:text/javascript,${encodeURIComponent(
  `process.on("SIGUSR2", () => {
    process.stdout.write("strings are " + (%HasFastProperties(String.prototype) ? "fast" : "slow") + "\\n");
  });`,
)}`;

let folder: string;
let database: TestDatabase;

beforeAll(async () => {
  folder = await makeFolder();
  database = await createTestDatabase();
});

afterEach(endProcesses);

afterAll(async () => {
  await database.drop();
  await removeFolder(folder);
});

const MAIN = fileURLToPath(moduleUrl("dist/src/main.js"));
const WATCHES_STRINGS = [
  "--allow-natives-syntax",
  "--import",
  TELLS_OF_STRINGS,
];

function moduleUrl(path: string): string {
  return new URL(`../../${path}`, import.meta.url).href;
}

function run(args: readonly string[]) {
  return startCommand(process.execPath, {
    cwd: folder,
    args: [...args],
    env: { PORT: "0", DATABASE_URL: database.url },
  });
}

test("the methods of strings are fast in a service that runs", async () => {
  const service = run([...WATCHES_STRINGS, MAIN]);
  const target = await baseUrlOf(service);
  await deliver(target, aStatusUpdate(), { secret: "whsec_development" });

  service.kill("SIGUSR2");
  const speed = await service.untilOutput(/strings are (\w+)/);

  expect(speed).toBe("fast");
});

test("ioredis alone makes them slow: when it no longer does, nothing has to be done about it", async () => {
  const ioredis = import.meta.resolve("ioredis");
  const script = `import ${JSON.stringify(ioredis)}; process.emit("SIGUSR2");`;
  const alone = run([
    ...WATCHES_STRINGS,
    "--input-type=module",
    "--eval",
    script,
  ]);

  const speed = await alone.untilOutput(/strings are (\w+)/);

  expect(speed).toBe("slow");
});

/** Reads each of UQPAY's published payloads so often that V8 has compiled all of it long before the end. */
const DECODE_OFTEN = `
  import { readdirSync, readFileSync } from "node:fs";
  const { decodeEvent } = await import(${JSON.stringify(moduleUrl("dist/src/uqpay/decode-event.js"))});
  const folder = new URL(${JSON.stringify(moduleUrl("test/fixtures/"))});
  const bodies = readdirSync(folder)
    .filter((name) => name.includes("--"))
    .map((name) => readFileSync(new URL(name, folder)));
  const at = "2026-04-12T07:27:39.480000Z";
  for (let round = 0; round < 2_000; round++)
    for (const body of bodies) decodeEvent(body, { signedAt: at, receivedAt: at });
`;

/** What V8 has compiled by a guess and thrown away since the guess was wrong: two to five. It was 416 in a circle. */
const MOST_WRONG_GUESSES = 50;

test("V8 comes to an end of compiling how an event is read", async () => {
  const reading = run([
    "--trace-deopt",
    "--input-type=module",
    "--eval",
    DECODE_OFTEN,
  ]);

  expect(await reading.ended).toBe(0);

  const wrongGuesses = reading.stdout().match(/begin\. deoptimizing/g) ?? [];
  expect(wrongGuesses.length).toBeGreaterThan(0);
  expect(wrongGuesses.length).toBeLessThan(MOST_WRONG_GUESSES);
});

test("the service takes events in where Node.js must not generate code from strings", async () => {
  const service = run(["--disallow-code-generation-from-strings", MAIN]);

  const answer = await deliver(await baseUrlOf(service), aStatusUpdate(), {
    secret: "whsec_development",
  });

  expect(answer.status).toBe(200);
});
