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

const MAIN = fileURLToPath(new URL("../../dist/src/main.js", import.meta.url));
const WATCHES_STRINGS = [
  "--allow-natives-syntax",
  "--import",
  TELLS_OF_STRINGS,
];

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

test("the service takes events in where Node.js must not generate code from strings", async () => {
  const service = run(["--disallow-code-generation-from-strings", MAIN]);

  const answer = await deliver(await baseUrlOf(service), aStatusUpdate(), {
    secret: "whsec_development",
  });

  expect(answer.status).toBe(200);
});
