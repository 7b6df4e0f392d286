import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { runCommandLine } from "../support/command-line.ts";
import {
  baseUrlOf,
  endProcesses,
  makeFolder,
  removeFolder,
  startCommand,
  startProcess,
} from "../support/process.ts";
import type { Reader } from "../support/service.ts";
import { openReader } from "../support/service.ts";

/** A process of Node starts in a third of a second, on a busy machine in several. */
const LIMIT_MS = 120_000;

const root = fileURLToPath(new URL("../../", import.meta.url));
const readme = readFileSync(join(root, "README.md"), "utf8");

const blocks = (language: string) =>
  [...readme.matchAll(/^ *```(\w+)\n(.*?)^ *```$/gms)].flatMap(
    ([, found, content = ""]) => (found === language ? [content.trim()] : []),
  );
const queries = blocks("sql")
  .flatMap((block) => block.split(";"))
  .map((query) => query.trim())
  .filter((query) => query !== "");
const scripts = blocks("sh");

const prose = readme.replace(/^ *```(\w+)\n(.*?)^ *```$/gms, "");
const spans = [...prose.matchAll(/`([^`]+)`/g)].map(([, span = ""]) =>
  span.replace(/\s+/g, " "),
);
/** What stands in a sentence and can be typed as it stands. */
const commandLines = [
  ...new Set(
    spans
      .filter((span) => /^(npm|npx|psql|pg_\w+|cli) /.test(span))
      .map((span) => span.replace(/^cli /, "npx uqpay-card-sync "))
      .filter((span) => !span.endsWith("<command>")),
  ),
];
const spokenQueries = spans.filter((span) => span.startsWith("select "));

const CARD = "f5d1e60a-6852-4fea-bb09-1d5bdab657a0";

let folder: string;
let databaseUrl: string;
let keeperPid: number;
let reader: Reader;
let baseUrl: string;

/** The README's own steps: the demo leaves its database, and a service runs on it. */
beforeAll(async () => {
  folder = await makeFolder();
  const demo = startProcess("../dev/demo/main.js", {
    args: ["--keep"],
    cwd: folder,
    env: { TMPDIR: folder },
  });
  keeperPid = Number(await demo.untilOutput(/^ +kill (\d+)$/m));
  databaseUrl = await demo.untilOutput(/DATABASE_URL='([^']+)'/);
  await demo.ended;
  reader = openReader(databaseUrl);
  ({ baseUrl } = await baseUrlOf(
    startProcess("main.js", {
      cwd: folder,
      env: { PORT: "0", DATABASE_URL: databaseUrl },
    }),
  ));
  await writeCommands();
}, LIMIT_MS);

afterAll(async () => {
  await reader.close();
  await endProcesses();
  process.kill(keeperPid, "SIGTERM");
  await removeFolder(folder);
}, LIMIT_MS);

/**
 * Commands by their names, which a shell finds first. The operator's tool is the real one; npm only looks whether there
 * is such a script; PostgreSQL's programs only look whether they are told of the database.
 */
async function writeCommands(): Promise<void> {
  await mkdir(join(folder, "bin"));
  const cli = `exec "${process.execPath}" "${root}dist/src/cli.js" "$@"`;
  const database = `for each; do
  case "$each" in "$DATABASE_URL" | "--dbname=$DATABASE_URL") exit 0 ;; esac
done
echo "$0 is not told of the database: $*" >&2; exit 1`;
  const commands = {
    npm: `case "$1 $2" in
  "ci " | "start " | "test ") exit 0 ;;
  "run cli") shift 3; ${cli} ;;
esac
exec grep -q "^ *.$2.: " "${root}package.json"`,
    npx: `[ "$1" = uqpay-card-sync ] || exit 1; shift; ${cli}`,
    psql: database,
    pg_dump: database,
    pg_restore: database,
  };
  for (const [name, script] of Object.entries(commands)) {
    const path = join(folder, "bin", name);
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
  }
}

/** What a reader puts in the place of a name that stands for something of his own. */
function fillIn(script: string): string {
  return script
    .replaceAll("https://<your host>", baseUrl)
    .replaceAll("<secret>", "whsec_development")
    .replaceAll("CARD_ID", CARD)
    .replaceAll("QUARANTINE_ID", "1")
    .replaceAll("EVENT_ID", "demo-freeze");
}

/** One line for the tool, of words alone: it needs neither a shell nor a process. */
const TOOL_ALONE =
  /^(?:npm run cli --|npx uqpay-card-sync) (?!complete)(?=[^\s'"$]+(?: [^\s'"$]+)*$)/;

async function run(script: string) {
  const { PATH = "" } = process.env;
  const typed = fillIn(script);
  const env = {
    DATABASE_URL: databaseUrl,
    PORT: new URL(baseUrl).port,
    RETENTION_DAYS: "365",
  };
  if (TOOL_ALONE.test(typed))
    return runCommandLine(typed.replace(TOOL_ALONE, "").split(" "), {
      ...env,
      NODE_ENV: "development",
      UQPAY_WEBHOOK_SECRET: "whsec_development",
    });
  const running = startCommand("sh", {
    args: ["-e", "-c", typed],
    cwd: folder,
    env: { ...env, PATH: `${join(folder, "bin")}:${PATH}` },
  });
  const code = await running.ended;
  return { code, out: running.stdout(), err: running.stderr() };
}

describe("the README's queries", () => {
  test("are found", () => {
    expect(queries.length).toBeGreaterThan(5);
  });

  test.each(queries)(
    "show something on the demo's database: %s",
    async (query) => {
      expect(await reader.rows(query)).not.toEqual([]);
    },
  );

  test.each(spokenQueries)("are queries: %s", async (query) => {
    expect(await reader.rows(query)).toBeDefined();
  });

  test("show of the latest transactions the one without a time last", async () => {
    const latest =
      queries.find((query) => query.includes("a card's latest")) ?? "";
    await reader.rows(
      `insert into transactions select (jsonb_populate_record(a, '{"transaction_id": "timed", "transaction_time": "2026-01-01T00:00:00Z"}')).*
       from transactions a where transaction_id = 'demo-transaction-2'`,
    );

    const [first, ...others] = await reader.rows(latest);

    expect(first?.["transaction_time"]).toMatch(/^2026-01-01/);
    expect(others.map((row) => row["transaction_time"])).toEqual([null, null]);
  });
});

describe("the README's command lines", () => {
  test("are found", () => {
    expect(scripts.length).toBeGreaterThan(4);
    expect(commandLines.length).toBeGreaterThan(6);
  });

  test.each([...scripts, ...commandLines])(
    "do what they say: %s",
    async (script) => {
      const { code, out, err } = await run(script);

      // 1 with an answer: `verify` and the like have found something.
      const hasFound = code === 1 && out !== "";
      expect({ code: hasFound ? 0 : code, err }).toEqual({ code: 0, err });
    },
    LIMIT_MS,
  );

  test.each(optionsByCommand())(
    "name only options that there are: %s %j",
    async (name, options) => {
      const { code, out } = await runCommandLine([name, "--help"], {});

      expect(code).toBe(0);
      expect(options.filter((option) => !out.includes(option))).toEqual([]);
    },
    LIMIT_MS,
  );
});

/** By the table of the commands; an option belongs to the command that is named last before it. */
function optionsByCommand(): [name: string, options: string[]][] {
  const [, table = ""] =
    /^\| command +\|.*\n\|[- |]+\n((?:\|.*\n)+)/m.exec(readme) ?? [];
  const options = new Map<string, string[]>();
  for (const row of table.trim().split("\n")) {
    let name = "";
    for (const [, span = ""] of row.matchAll(/`([^`]+)`/g)) {
      if (/^(npm|npx) /.test(span)) continue;
      name = /^[a-z]+/.exec(span)?.[0] ?? name;
      const known = options.get(name) ?? [];
      options.set(name, [...known, ...(span.match(/--[a-z-]+/g) ?? [])]);
    }
  }
  return [...options];
}

describe("the README's links", () => {
  const links = [...readme.matchAll(/\]\(([^)]+)\)/g)]
    .map(([, link = ""]) => link)
    .filter((link) => !link.startsWith("https:"));

  test.each([...new Set(links)])("lead somewhere: %s", (link) => {
    const [path = "", anchor = ""] = link.split("#");
    const target = join(root, path === "" ? "README.md" : path);

    expect(existsSync(target)).toBe(true);
    const anchors = anchor === "" ? [""] : anchorsIn(target);
    expect(anchors).toContain(anchor);
  });
});

/** As GitHub names the headings of a page. */
function anchorsIn(path: string): string[] {
  return [...readFileSync(path, "utf8").matchAll(/^#+ (.*)$/gm)].map(
    ([, title = ""]) =>
      title
        .toLowerCase()
        .replace(/[^\w\s-]/g, "")
        .replaceAll(" ", "-"),
  );
}
