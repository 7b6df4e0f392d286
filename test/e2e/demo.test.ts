import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { runDemo } from "../../dev/demo/run-demo.ts";
import {
  endProcesses,
  makeFolder,
  removeFolder,
  startCommand,
  startProcess,
} from "../support/process.ts";
import { openReader, SECRET, startTestService } from "../support/service.ts";
import { waitFor } from "../support/wait-for.ts";

/** A process of Node starts in a third of a second, on a busy machine in several. */
const LIMIT_MS = 120_000;

let folder: string;

beforeAll(async () => {
  folder = await makeFolder();
});

afterAll(async () => {
  await endProcesses();
  await removeFolder(folder);
});

/** The demo in a folder for temporary files that nothing else uses. */
async function demo(...args: string[]) {
  const running = startProcess("../dev/demo/main.js", {
    args,
    cwd: folder,
    env: { TMPDIR: folder },
  });
  const code = await running.ended;
  return { code, out: running.stdout(), err: running.stderr() };
}

describe("the demo", () => {
  test(
    "tells beside each delivery its answer and what it changed, shows the tables and leaves nothing behind",
    async () => {
      const { code, out } = await demo();

      expect(out).toMatch(
        /^ {2}frozen +200 accepted\n.* card_status ACTIVE -> FROZEN$/m,
      );
      expect(out).toMatch(
        /delivered again +200 duplicate\n +changes nothing$/m,
      );
      expect(out).toMatch(/per_transaction_limit 20000 -> 500$/m);
      expect(out).toMatch(/blocked_mcc \{\} -> \{6551,5533\}$/m);
      expect(out).toMatch(
        /too late +200 accepted\n +changes nothing\n +\(.*final\)$/m,
      );
      expect(out).toMatch(
        /forged.* 401 invalid_signature\n +changes nothing$/m,
      );
      expect(out).toMatch(
        /malformed.* 422 invalid_payload\n.*quarantined_events/m,
      );
      expect(out).toMatch(/^ {2}card_id +card_status/m);
      expect(out).toContain("All answers, changes and tables are as expected");
      expect(code).toBe(0);
      expect(await readdir(folder)).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    "with --keep leaves the database running until it is told to end, and then its data is gone",
    async () => {
      const { code, out } = await demo("--keep");

      const url = /DATABASE_URL='([^']+)'/.exec(out)?.[1] ?? "";
      const pid = Number(/^ +kill (\d+)$/m.exec(out)?.[1]);
      try {
        const reader = openReader(url);
        const cards = await reader.rows("select card_status from cards");
        await reader.close();
        expect(cards).toHaveLength(2);
        expect(code).toBe(0);
      } finally {
        process.kill(pid, "SIGTERM");
      }
      await waitFor(
        async () => ((await readdir(folder)).length === 0 ? true : undefined),
        { what: "the kept data to be removed", timeoutMs: 30_000 },
      );
    },
    LIMIT_MS,
  );

  test(
    "that is interrupted stops its database and removes its data",
    async () => {
      const running = startProcess("../dev/demo/main.js", {
        cwd: folder,
        env: { TMPDIR: folder },
      });
      await running.untilOutput(/Deliveries to/);

      running.kill("SIGINT");

      expect(await running.ended).toBe(1);
      expect(await readdir(folder)).toEqual([]);
    },
    LIMIT_MS,
  );

  test.each([[["--kep"]], [["keep"]], [["--keep", "now"]]])(
    "refuses %j before anything happens",
    async (args) => {
      const { code, out, err } = await demo(...args);

      expect(code).toBe(2);
      expect(err).toMatch(/--keep|--help/);
      expect(out).toBe("");
    },
    LIMIT_MS,
  );

  test(
    "refuses an option that npm has swallowed, with the way to write it",
    async () => {
      const running = startCommand("npm", {
        // Without the build before it, which other tests' programs would notice.
        args: ["run", "--silent", "--ignore-scripts", "demo", "--keep"],
        cwd: fileURLToPath(new URL("../../", import.meta.url)),
      });

      const code = await running.ended;

      expect(code).toBe(2);
      expect(running.stdout()).toBe("");
      expect(running.stderr()).toMatch(/^ {2}npm run demo -- --keep$/m);
    },
    LIMIT_MS,
  );

  test(
    "says with --help what it takes",
    async () => {
      const { code, out, err } = await demo("--help");

      expect(code).toBe(0);
      expect(out).toContain("--keep");
      expect(err).toBe("");
    },
    LIMIT_MS,
  );

  test(
    "counts an answer, a change and a table that are not as expected, and says what was",
    async () => {
      const service = await startTestService({ queue: "postgres" });
      await service.rows(`
        create function thaw() returns trigger language plpgsql as $$
        begin
          if new.card_status = 'FROZEN' then new.card_status := 'THAWED'; end if;
          return new;
        end $$`);
      await service.rows(
        "create trigger thaw before insert or update on cards for each row execute function thaw()",
      );
      let told = "";

      const differences = await runDemo({
        url: `${service.baseUrl}/webhooks/uqpay`,
        databaseUrl: service.databaseUrl,
        secret: SECRET,
        nowMs: Date.now(),
        write: (text) => {
          told += text;
        },
      });
      await service.stop();

      expect(differences).toBeGreaterThanOrEqual(3);
      expect(told).toMatch(/EXPECTED cards .* card_status ACTIVE -> FROZEN$/m);
      expect(told).toMatch(/EXPECTED\n\n.*card_id +card_status/m);
      expect(told).toContain("Not as expected");
    },
    LIMIT_MS,
  );
});
