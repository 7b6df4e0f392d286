import { readFileSync, readdirSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "@jest/globals";
import pg from "pg";
import { startEmbeddedPostgres } from "../../dev/embedded-postgres/embedded-postgres.ts";
import { aStatusUpdate, anMccDecline, deliver } from "../support/deliveries.ts";
import {
  baseUrlOf,
  endProcesses,
  makeFolder,
  removeFolder,
  startProcess,
} from "../support/process.ts";
import { SECRET, openReader, untilApplied } from "../support/service.ts";

const ROLES = readFileSync(
  new URL("../../db/roles.sql", import.meta.url),
  "utf8",
);
const LIMIT_MS = 120_000;

/** Folders `postgres-<major>`, as .ci/run installs them. */
const folder = process.env["POSTGRES_PACKAGES"] ?? "";
const majors = readdirSync(folder)
  .filter((name) => name.startsWith("postgres-"))
  .map((name) => name.replace("postgres-", ""));

const undo: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await endProcesses();
  for (const step of undo.splice(0).toReversed()) await step();
}, LIMIT_MS);

test("there is a server to try", () => {
  expect(majors).not.toEqual([]);
});

describe.each(majors)("on PostgreSQL %s", (major) => {
  test(
    "the migrations, the roles, an event's way in and the operator's checks work",
    async () => {
      const data = await makeFolder();
      // initdb of 14 and 15 looks for its folder by the whole path, as a user who is not root.
      await chmod(data, 0o755);
      const server = await startEmbeddedPostgres({
        dataDir: join(data, "postgres"),
        durable: false,
        binaries: join(folder, `postgres-${major}`),
      });
      undo.push(
        () => removeFolder(data),
        () => server.stop(),
      );
      const ask = (text: string) => askOnce(server.url(), text);

      // As roles.sql says to do it: before the first migration and again after it.
      await ask(ROLES);
      for (const group of ["migrator", "writer", "reader"])
        await ask(
          `create role test_${group} login password 'secret' in role uqpay_${group};
           alter role test_${group} set role uqpay_${group}`,
        );
      const urlOf = (group: string) => {
        const url = new URL(server.url());
        url.username = `test_${group}`;
        url.password = "secret";
        return url.href;
      };
      const run = async (command: string, group: string) => {
        const { ended, stderr } = startProcess("cli.js", {
          args: [command],
          cwd: data,
          env: { DATABASE_URL: urlOf(group) },
        });
        return { code: await ended, stderr: stderr() };
      };
      const migrated = await run("migrate", "migrator");
      await ask(ROLES);
      const service = startProcess("main.js", {
        cwd: data,
        env: {
          DATABASE_URL: urlOf("writer"),
          UQPAY_WEBHOOK_SECRET: SECRET,
          PORT: "0",
        },
      });
      const { baseUrl } = await baseUrlOf(service);
      const sender = { baseUrl };
      const answers = [
        await deliver(sender, aStatusUpdate({ card_id: "card-1" })),
        await deliver(sender, anMccDecline({ card_id: "card-1" })),
        await deliver(sender, "no JSON"),
      ];
      const writer = openReader(urlOf("writer"));
      undo.push(() => writer.close());
      await untilApplied(writer.rows);
      const ready = await fetch(`${baseUrl}/readyz`);
      const states = await writer.rows(
        "select state, attempts, last_error from webhook_events",
      );
      const verified = await run("verify", "writer");
      const declines = await askOnce(
        urlOf("reader"),
        "select card_id, mcc_declined from mcc_declines join cards using (card_id)",
      );
      service.kill("SIGTERM");

      const [version] = await ask("show server_version");
      expect(version?.["server_version"]).toMatch(new RegExp(`^${major}\\.`));
      expect(migrated).toMatchObject({ code: 0 });
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 400]);
      expect(states).toEqual(
        [1, 2].map(() => ({
          state: "processed",
          attempts: 1,
          last_error: null,
        })),
      );
      expect(await ready.json()).toMatchObject({ status: "ready" });
      expect(verified).toMatchObject({ code: 0 });
      expect(declines).toEqual([{ card_id: "card-1", mcc_declined: true }]);
      expect(await service.ended).toBe(0);
    },
    LIMIT_MS,
  );
});

async function askOnce(
  url: string,
  text: string,
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}
