import { copyFile, cp, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "@jest/globals";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import {
  baseUrlOf,
  endProcesses,
  makeFolder,
  removeFolder,
  startCommand,
} from "../support/process.ts";

const PROJECT = new URL("../../", import.meta.url);

let folder: string;
let database: TestDatabase;

afterEach(async () => {
  await endProcesses();
  await database.drop();
  await removeFolder(folder);
});

test("the service and the operator's tool run without what is for development, which the image does not have", async () => {
  folder = await makeFolder();
  database = await createTestDatabase();
  const from = (name: string) => fileURLToPath(new URL(name, PROJECT));
  await cp(from("dist"), join(folder, "dist"), { recursive: true });
  await rm(join(folder, "dist/dev"), { recursive: true });
  await copyFile(from("package.json"), join(folder, "package.json"));
  await symlink(from("node_modules"), join(folder, "node_modules"));
  const start = (program: string, ...args: string[]) =>
    startCommand(process.execPath, {
      args: [join(folder, "dist/src", program), ...args],
      cwd: folder,
      env: {
        DATABASE_URL: database.url,
        UQPAY_WEBHOOK_SECRET: "whsec_test",
        PORT: "0",
      },
    });

  const { baseUrl } = await baseUrlOf(start("main.js"));
  const ready = await fetch(`${baseUrl}/readyz`);
  const tool = start("cli.js", "verify");

  expect(ready.status).toBe(200);
  expect(await tool.ended).toBe(0);
  expect(tool.stdout()).toContain("0 cards verified, 0 differences");
});
