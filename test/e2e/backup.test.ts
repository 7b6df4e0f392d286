import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import {
  aCardUpdate,
  aStatusUpdate,
  anMccDecline,
  anOtp,
  deliver,
} from "../support/deliveries.ts";
import { compactBytes, payloadNames } from "../support/fixtures.ts";
import { codeBlockWith } from "../support/markdown.ts";
import { removeFolder } from "../support/process.ts";
import { haveAll, runProgram } from "../support/programs.ts";
import type { Row } from "../support/service.ts";
import {
  openReader,
  startTestService,
  statesOf,
  untilApplied,
} from "../support/service.ts";
import type { SystemPostgres } from "../support/system-postgres.ts";
import {
  findSystemPostgres,
  startSystemPostgres,
} from "../support/system-postgres.ts";

const LIMIT_MS = 120_000;
const root = fileURLToPath(new URL("../..", import.meta.url));
const programs = findSystemPostgres();
const describeHere =
  programs !== undefined || haveAll(["pg_dump", "initdb"])
    ? describe
    : describe.skip;

const TABLES = [
  "webhook_events",
  "quarantined_events",
  "cards",
  "transactions",
  "mcc_declines",
];

describeHere("a backup as docs/deploy.md has it", () => {
  let folder: string;
  let server: SystemPostgres;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "uqpay-backup-"));
    server = await startSystemPostgres(programs ?? "", folder);
  }, LIMIT_MS);

  afterAll(async () => {
    await server.stop();
    await removeFolder(folder);
  });

  /** Runs lines of a document with this database. */
  function run(lines: string, databaseUrl: string): string {
    const cli = `${process.execPath} ${root}/dist/src/cli.js`;
    return runProgram("sh", ["-euc", lines.replaceAll("npm run cli --", cli)], {
      cwd: folder,
      env: {
        DATABASE_URL: databaseUrl,
        PATH: `${programs ?? ""}:${process.env["PATH"] ?? ""}`,
      },
    });
  }

  const giveRoles = (databaseUrl: string) =>
    run(
      `psql -q -v ON_ERROR_STOP=1 -d "$DATABASE_URL" -f ${root}/db/roles.sql`,
      databaseUrl,
    );

  async function read(databaseUrl: string, text: string): Promise<Row[]> {
    const reader = openReader(databaseUrl);
    try {
      return await reader.rows(text);
    } finally {
      await reader.close();
    }
  }

  async function contentOf(
    databaseUrl: string,
  ): Promise<Readonly<Record<string, Row[]>>> {
    const rows = await Promise.all(
      TABLES.map((table) =>
        read(databaseUrl, `select * from ${table} order by 1, 2`),
      ),
    );
    return Object.fromEntries(
      rows.map((each, index) => [TABLES[index] ?? "", each]),
    );
  }

  /** Events in every state, refused ones, bodies that are not kept. */
  async function fill(databaseUrl: string): Promise<string> {
    const database = { url: databaseUrl, drop: () => Promise.resolve() };
    const service = await startTestService({ queue: "postgres", database });
    const card = {
      card_id: "c1",
      spending_controls: { allowed_mcc: ["5411"] },
    };
    for (const event of [
      aStatusUpdate({ card_id: "c1" }),
      aCardUpdate(card),
      anMccDecline({ card_id: "c1" }),
      anOtp(),
      ...payloadNames().map((name) => compactBytes(name)),
    ])
      await deliver(service, event);
    await deliver(service, aStatusUpdate({ update_time: "yesterday" }));
    await deliver(service, "not JSON");
    await service.untilApplied();
    await service.stop();

    const receiver = await startTestService({
      queue: "postgres",
      database,
      env: { ROLE: "api" },
    });
    const unfinished = aStatusUpdate({ card_id: "c2" });
    await deliver(receiver, unfinished);
    await receiver.stop();
    return unfinished.event_id;
  }

  test(
    "gives the same rows in an empty database, where the service goes on with what was unfinished",
    async () => {
      const before = await server.createDatabase("before");
      giveRoles(before);
      run("npm run cli -- migrate", before);
      giveRoles(before);
      const unfinished = await fill(before);
      const after = await server.createDatabase("after");

      run(codeBlockWith("docs/deploy.md", "sh", "pg_dump"), before);
      const restore = codeBlockWith("docs/deploy.md", "sh", "pg_restore");
      // `verify` ends with 1, since an event waits.
      const said = run(`${restore.trimEnd()} || [ $? = 1 ]`, after);
      giveRoles(after);

      expect(said).toContain("0 differences");
      expect(said).toContain("1 waits");
      const content = await contentOf(before);
      expect(await contentOf(after)).toEqual(content);
      for (const rows of Object.values(content)) expect(rows).not.toEqual([]);

      const [rights] = await read(
        after,
        `select has_table_privilege('uqpay_writer', 'cards', 'insert, update') as writer,
                has_table_privilege('uqpay_reader', 'mcc_declines', 'select') as reader,
                (select tableowner from pg_tables where tablename = 'cards') as owner`,
      );
      expect(rights).toEqual({
        writer: true,
        reader: true,
        owner: "uqpay_migrator",
      });

      const service = await startTestService({
        queue: "postgres",
        database: { url: after, drop: () => Promise.resolve() },
      });
      await untilApplied(service.rows);
      const states = await statesOf(service, [unfinished]);
      await service.stop();
      expect(states).toEqual({ processed: 1 });
    },
    LIMIT_MS,
  );

  test("is described alike in the README", () => {
    for (const part of ["pg_dump", "pg_restore"])
      expect(codeBlockWith("README.md", "sh", part)).toBe(
        codeBlockWith("docs/deploy.md", "sh", part),
      );
  });
});
