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

test("the service takes events in where Node.js must not generate code from strings", async () => {
  const main = new URL("../../dist/src/main.js", import.meta.url);
  const service = startCommand(process.execPath, {
    cwd: folder,
    args: ["--disallow-code-generation-from-strings", fileURLToPath(main)],
    env: { PORT: "0", DATABASE_URL: database.url },
  });

  const answer = await deliver(await baseUrlOf(service), aStatusUpdate(), {
    secret: "whsec_development",
  });

  expect(answer.status).toBe(200);
});
