import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { makeProgram } from "../../src/commands/program.ts";
import { runCommandLine } from "../support/command-line.ts";
import { aStatusUpdate, deliver } from "../support/deliveries.ts";
import {
  endProcesses,
  makeFolder,
  removeFolder,
  startCommand,
} from "../support/process.ts";
import type { TestService } from "../support/service.ts";
import { SECRET, startTestService } from "../support/service.ts";

/** npm starts in half a second, on a busy machine in several. */
const LONG_MS = 120_000;

const project = fileURLToPath(new URL("../../", import.meta.url));

let service: TestService;
let folder: string;

beforeAll(async () => {
  service = await startTestService({ queue: "postgres" });
  folder = await makeFolder();
});

afterAll(async () => {
  await endProcesses();
  await removeFolder(folder);
  await service.stop();
});

/** A line as somebody types it in the folder of the project. */
async function type(
  line: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
) {
  const [command, ...args] = line;
  const child = startCommand(command, {
    args,
    cwd: project,
    env: {
      UQPAY_WEBHOOK_SECRET: SECRET,
      DATABASE_URL: service.databaseUrl,
      RETENTION_DAYS: "30",
      // npm's own words and its look for news are not what is tested.
      npm_config_loglevel: "error",
      npm_config_update_notifier: "false",
      ...env,
    },
  });
  const code = await child.ended;
  return { code, out: child.stdout(), err: child.stderr() };
}

/** An event whose body `prune` drops. */
async function anOldEvent(): Promise<string> {
  const event = aStatusUpdate();
  await deliver(service, event);
  await service.untilApplied();
  await service.rows(
    "update webhook_events set received_at = now() - interval '40 days' where event_id = $1",
    [event.event_id],
  );
  return event.event_id;
}

const hasBody = async (eventId: string) =>
  (
    await service.rows(
      "select body is not null as is_there from webhook_events where event_id = $1",
      [eventId],
    )
  )[0]?.["is_there"];

describe("an option that npm has taken for itself", () => {
  test(
    "drops no body where a dry run was meant, and is said to be written behind two dashes",
    async () => {
      const eventId = await anOldEvent();

      const ended = await type(["npm", "run", "cli", "prune", "--dry-run"]);

      expect(ended.code).toBe(2);
      expect(ended.err).toContain("npm run cli -- prune --dry-run\n");
      expect(ended.err).toContain("npx uqpay-card-sync prune --dry-run\n");
      expect(await hasBody(eventId)).toBe(true);
    },
    LONG_MS,
  );

  test(
    "keeps the arguments that were meant as such in what is to be written",
    async () => {
      const ended = await type([
        "npm",
        "run",
        "cli",
        "replay",
        "an-id",
        "--dry-run",
      ]);

      expect(ended.code).toBe(2);
      expect(ended.err).toContain("npm run cli -- replay an-id --dry-run\n");
    },
    LONG_MS,
  );

  test.each<[string, [string, ...string[]], string]>([
    [
      "with a value that npm took for an argument",
      ["npm", "run", "cli", "verify", "--card", "X"],
      "npm run cli -- verify --card <card_id>\n",
    ],
    [
      "with a value that npm kept",
      ["npm", "run", "cli", "verify", "--card=X"],
      "npm run cli -- verify --card X\n",
    ],
    [
      "before the command",
      ["npm", "run", "cli", "--json", "verify"],
      "npm run cli -- verify --json\n",
    ],
    [
      "to npm start",
      ["npm", "start", "--ignore-scripts", "--role=worker"],
      "npm start -- --role worker\n",
    ],
    [
      "to the demo",
      ["npm", "run", "--ignore-scripts", "demo", "--keep"],
      "npm run demo -- --keep\n",
    ],
    [
      "through npm exec",
      ["npm", "exec", "uqpay-card-sync", "prune", "--dry-run"],
      "npx uqpay-card-sync prune --dry-run\n",
    ],
    [
      "misspelt",
      ["npm", "run", "cli", "prune", "--dry-rum"],
      "npm run cli -- prune --dry-run\n",
    ],
    [
      "of a meaning that the tool does not know either",
      ["npm", "run", "cli", "verify", "--repair"],
      "npm took --repair for itself",
    ],
  ])(
    "(%s) is refused before anything happens",
    async (_, line, sentence) => {
      // With --dry-run, npm exec does not even prepare what it has never run.
      if (line[1] === "exec")
        await type(["npm", "exec", "uqpay-card-sync", "--", "--version"]);

      const ended = await type(line);

      expect(ended.code).toBe(2);
      expect(ended.out).not.toMatch(/verified|dropped|listening/);
      expect(ended.err).toContain(sentence);
    },
    LONG_MS,
  );

  test(
    "shows no secret",
    async () => {
      const ended = await type([
        "npm",
        "run",
        "cli",
        "send",
        "ping",
        "--secret=canary",
      ]);

      expect(ended.code).toBe(2);
      expect(ended.err).toContain("--secret <secret>");
      expect(ended.err).not.toContain("canary");
    },
    LONG_MS,
  );

  test(
    "is refused whatever it is called, in every command",
    async () => {
      const { commands } = makeProgram({ run: () => () => Promise.resolve() });
      const optionsOf = ({ options }: (typeof commands)[number]) =>
        options.map(({ long }) => long ?? "");
      const all = [...new Set(commands.flatMap(optionsOf))];

      const ended = await type(["npm", "run", "cli", "events", ...all]);

      expect(ended.code).toBe(2);
      const refused = /npm took (.*) for itself/.exec(ended.err)?.[1];
      expect(refused?.split(" ").sort()).toEqual(all.sort());
      expect(commands.length).toBeGreaterThan(10);
      // Not the one of the library for shells, which has none.
      for (const command of commands.filter(
        ({ options }) => options.length > 0,
      )) {
        const variables = optionsOf(command).map((option) => [
          `npm_config_${option.slice(2).replaceAll("-", "_")}`,
          "true",
        ]);

        const alone = await runCommandLine(
          [command.name()],
          Object.fromEntries(variables) as Record<string, string>,
        );

        expect({ command: command.name(), ...alone }).toMatchObject({
          command: command.name(),
          code: 2,
          out: "",
        });
        for (const option of optionsOf(command))
          expect(/npm took .*/.exec(alone.err)?.[0]).toContain(option);
      }
    },
    LONG_MS,
  );
});

describe("what npm has of its own", () => {
  test(
    "stands behind two dashes and in npx for what it says",
    async () => {
      const eventId = await anOldEvent();

      const dashes = await type([
        "npm",
        "run",
        "cli",
        "--",
        "prune",
        "--dry-run",
      ]);
      const npx = await type(["npx", "uqpay-card-sync", "prune", "--dry-run"]);

      expect(dashes).toMatchObject({ code: 0, err: "" });
      expect(dashes.out).toContain("would be dropped");
      expect(npx).toMatchObject({ code: 0, err: "" });
      expect(npx.out).toContain("would be dropped");
      expect(await hasBody(eventId)).toBe(true);
    },
    LONG_MS,
  );

  test(
    "does not hinder: its options for itself, and what .npmrc sets for good",
    async () => {
      const npmrc = join(folder, "npmrc");
      await writeFile(
        npmrc,
        "json=true\nall = true\nforce=true\ndry-run=true\nsome-tool-mirror=https://127.0.0.1/\n",
      );

      const ended = await type(
        ["npm", "run", "--if-present", "--no-color", "cli", "events"],
        { npm_config_userconfig: npmrc },
      );

      expect(ended.code).toBe(0);
      expect(ended.out).toContain("event_id");
    },
    LONG_MS,
  );

  test(
    "does not hinder where it is set in the environment for good",
    async () => {
      // Elsewhere the system does not show what was set before npm came.
      if (!existsSync("/proc/self/environ")) return;

      const ended = await type(["npm", "run", "cli", "events"], {
        npm_config_json: "true",
        npm_config_build_from_source: "true",
      });

      expect(ended.code).toBe(0);
    },
    LONG_MS,
  );

  test(
    "counts as said where it is said to the tool, too",
    async () => {
      const ended = await type([
        "npm",
        "run",
        "cli",
        "--json",
        "--",
        "events",
        "--json",
        "--card",
        randomUUID(),
      ]);

      expect(ended.code).toBe(0);
      expect(ended.out).toContain('"result":{"events":[]}');
    },
    LONG_MS,
  );
});
