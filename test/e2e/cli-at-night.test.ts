import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import pg from "pg";
import { runCommandLine } from "../support/command-line.ts";
import {
  createEmptyDatabase,
  createTestDatabase,
} from "../support/database.ts";
import type { TestDatabase } from "../support/database.ts";
import {
  aCardUpdate,
  aStatusUpdate,
  anOtp,
  deliver,
} from "../support/deliveries.ts";
import {
  endProcesses,
  startCommand,
  startProcess,
} from "../support/process.ts";
import type { TestService } from "../support/service.ts";
import { SECRET, startTestService } from "../support/service.ts";

const COMMANDS = [
  "serve",
  "migrate",
  "send",
  "events",
  "event",
  "quarantine",
  "replay",
  "verify",
  "rebuild",
  "explain",
  "prune",
];

let service: TestService;
const databases: TestDatabase[] = [];

beforeAll(async () => {
  service = await startTestService({ queue: "postgres" });
});

afterAll(async () => {
  await endProcesses();
  await Promise.all(databases.map((database) => database.drop()));
  await service.stop();
});

const cli = (args: readonly string[], env: Record<string, string> = {}) =>
  runCommandLine(args, { DATABASE_URL: service.databaseUrl, ...env });

/** In a process of its own. */
function start(args: readonly string[]) {
  return startProcess("cli.js", {
    args,
    cwd: tmpdir(),
    env: {
      NODE_ENV: "production",
      UQPAY_WEBHOOK_SECRET: SECRET,
      DATABASE_URL: service.databaseUrl,
    },
  });
}

/** The one document of `--json`. */
async function json(args: readonly string[]) {
  const { out } = await cli([...args, "--json"]);
  return JSON.parse(out) as {
    command: string | null;
    exit_code: number;
    result?: Record<string, unknown>;
    error?: { code: string; message: string };
  };
}

async function tell(...events: readonly ReturnType<typeof aStatusUpdate>[]) {
  const firstMs = Date.now() - 100_000;
  for (const [index, event] of events.entries())
    await deliver(service, event, { atMs: firstMs + index * 1_000 });
  await service.untilApplied();
}

/** An applied event about a card of its own. */
async function anAppliedEvent() {
  const event = aStatusUpdate();
  await tell(event);
  return {
    event,
    eventId: event.event_id,
    cardId: String(event.data["card_id"]),
  };
}

const setState = (eventId: string, state: string) =>
  service.rows(
    "update webhook_events set state = $2, last_error = 'PostgreSQL 22003' where event_id = $1",
    [eventId, state],
  );
const setBody = (eventId: string, body: string) =>
  service.rows("update webhook_events set body = $2 where event_id = $1", [
    eventId,
    body,
  ]);

describe("help", () => {
  test("of the tool names every command, on standard output, and ends with 0", async () => {
    const ended = await cli(["--help"]);

    expect(ended).toMatchObject({ code: 0, err: "" });
    for (const command of COMMANDS)
      expect(ended.out).toMatch(new RegExp(`^ {2}${command} `, "m"));
  });

  test.each(COMMANDS)(
    "of %s does nothing else, and needs no configuration",
    async (command) => {
      const ended = await cli([command, "--help"], {
        DATABASE_URL: "nonsense",
        UQPAY_WEBHOOK_SECRET: "",
      });

      expect(ended).toMatchObject({ code: 0, err: "" });
      expect(ended.out).toContain(
        `Usage: uqpay-card-sync ${command} [options]`,
      );
      expect(ended.out).toContain("--json");
    },
  );

  test("comes with the version on standard output", async () => {
    const { code, out } = await cli(["--version"]);

    expect(code).toBe(0);
    expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test("completes commands, options and the words of an option for a shell", async () => {
    // Not in this process: the library writes to the console.
    const [script, command, option, word] = await Promise.all(
      [
        ["complete", "bash"],
        ["complete", "--", "quar"],
        ["complete", "--", "prune", "--d"],
        ["complete", "--", "events", "--state", ""],
      ].map(async (args) => {
        const running = start(args);
        await running.ended;
        return running.stdout();
      }),
    );

    expect(script).toContain("complete -F");
    expect(command).toMatch(/^quarantine\t/);
    expect(option).toMatch(/^--dry-run\t/);
    expect(word).toMatch(/^received\t?$/m);
  });
});

describe("--json", () => {
  test("gives one document of one shape, also where a command cannot be carried out", async () => {
    const { eventId, cardId } = await anAppliedEvent();

    const event = await json(["event", eventId]);
    const verified = await json(["verify", "--card", cardId]);
    const unknown = await json(["verify", "--card", "nobody"]);
    const misspelt = await json(["verify", "--cart", "x"]);
    const nothing = await json([]);

    expect(event).toMatchObject({
      command: "event",
      exit_code: 0,
      result: { event: { event_id: eventId, state: "processed" } },
    });
    expect(verified).toEqual({
      command: "verify",
      exit_code: 0,
      result: {
        cards: 1,
        rows_without_card: 0,
        differences: [],
        unreadable_events: [],
        waiting: 0,
        failed: 0,
        unapplied_events: [],
      },
    });
    expect(unknown).toMatchObject({
      command: "verify",
      exit_code: 1,
      error: { code: "failed" },
    });
    expect(misspelt).toMatchObject({
      command: "verify",
      exit_code: 2,
      error: { code: "usage" },
    });
    expect(nothing).toMatchObject({ command: null, exit_code: 2 });
  });

  test.each([
    ["events"],
    ["quarantine"],
    ["replay", "--failed"],
    ["rebuild"],
    ["prune"],
    ["migrate", "--dry-run"],
    ["migrate"],
    ["send"],
  ])("of %s %s is nothing but the document", async (...args) => {
    const { code, out } = await cli([...args, "--json"], {
      RETENTION_DAYS: "30",
    });

    expect(code).toBe(0);
    expect(out).toMatch(/^\{.*\}\n$/);
    expect(JSON.parse(out)).toMatchObject({
      command: args[0],
      exit_code: 0,
      result: {},
    });
  });

  test("keeps numbers exact", async () => {
    const event = aCardUpdate({ card_limit: "12345678901234567890.10" });
    await tell(event);
    await service.rows("delete from cards where card_id = $1", [
      event.data["card_id"],
    ]);

    const { result } = await json(["replay", event.event_id, "--dry-run"]);

    expect(JSON.stringify(result)).toContain('"12345678901234567890.10"');
  });
});

describe("event", () => {
  test("shows one event whole: its body as it was signed, its times and its error", async () => {
    const { event, eventId, cardId } = await anAppliedEvent();
    await setState(eventId, "failed");

    const { code, out } = await cli(["event", eventId]);
    await setState(eventId, "processed");

    expect(code).toBe(0);
    expect(out).toContain(`\n${JSON.stringify(event)}\n`);
    expect(out).toMatch(new RegExp(`card_id +${cardId}\\n`));
    expect(out).toMatch(/state +failed\n/);
    expect(out).toMatch(/last_error +PostgreSQL 22003\n/);
    expect(out).toMatch(/signed_at +2\d{3}-/);
  });

  test("says that a body is not kept, and which entries of the quarantine have the id", async () => {
    const otp = anOtp();
    await tell(otp);
    const broken = { ...aStatusUpdate(), data: { card_id: randomUUID() } };
    await deliver(service, broken);

    const sensitive = await cli(["event", otp.event_id]);
    const quarantined = await cli(["event", broken.event_id]);
    const unknown = await cli(["event", "nothing"]);

    expect(sensitive.out).toContain("Its body is not kept");
    expect(quarantined).toMatchObject({ code: 1, out: "" });
    expect(quarantined.err).toMatch(/the quarantine has entry \d+/);
    expect(unknown).toMatchObject({
      code: 1,
      err: "No event nothing is stored.\n",
    });
  });
});

describe("quarantine", () => {
  test("lists one card's deliveries, with when each came last", async () => {
    const [mine, others] = [aStatusUpdate(), aStatusUpdate()];
    for (const event of [mine, others])
      await deliver(service, event, { atMs: Date.now() - 3_600_000 });

    const { out } = await cli([
      "quarantine",
      "--card",
      String(mine.data["card_id"]),
    ]);

    expect(out).toContain(mine.event_id);
    expect(out).toContain("last_received_at");
    expect(out).not.toContain(others.event_id);
  });

  test("says which entry a dismissal or a replay did not find", async () => {
    const dismissed = await cli([
      "quarantine",
      "--dismiss",
      "999999999",
      "--note",
      "x",
    ]);
    const replayed = await cli(["replay", "--quarantined", "999999999"]);

    expect(dismissed).toMatchObject({
      code: 1,
      out: "0 closed, 1 not: there is no open entry of that id\n",
    });
    expect(replayed.code).toBe(1);
    expect(replayed.out).toContain("quarantine 999999999: not found\n");
  });
});

describe("replay", () => {
  test("says once how many events change nothing", async () => {
    const first = await anAppliedEvent();
    const second = await anAppliedEvent();

    const { code, out } = await cli([
      "replay",
      first.eventId,
      second.eventId,
      "--dry-run",
    ]);

    expect(code).toBe(0);
    expect(out).toBe(
      "2 would be applied, changing nothing\n2 looked at, nothing changed, 0 of them could not be applied\n",
    );
  });

  test("says of a body that is not JSON that it is not, and does not quote it", async () => {
    const { eventId } = await anAppliedEvent();
    await setBody(eventId, "canary");

    const { code, out } = await cli(["replay", eventId]);
    await service.rows("delete from webhook_events where event_id = $1", [
      eventId,
    ]);

    expect(code).toBe(1);
    expect(out).toContain(`${eventId}: still invalid:  is not JSON\n`);
    expect(out).not.toContain("canary");
  });
});

describe.each([["verify"], ["rebuild"]])("%s", (command) => {
  test("says of an unknown card that there is none", async () => {
    const typo = randomUUID();

    const ended = await cli([command, "--card", typo]);

    expect(ended).toEqual({
      code: 1,
      out: "",
      err: `There is no card ${typo}: no event and no row speaks of it.\n`,
    });
  });

  test("does not pass over an event that has failed", async () => {
    const { eventId, cardId } = await anAppliedEvent();
    const late = aStatusUpdate(
      { card_id: cardId, card_status: "ACTIVE" },
      // Else the row of its order would stand there unexplained.
      { source_id: "" },
    );
    await tell(late);
    await service.rows("delete from cards where card_id = $1", [cardId]);
    await cli(["replay", eventId]);
    await setState(late.event_id, "failed");

    const one = await cli([command, "--card", cardId]);
    const all = await cli([command]);
    await setState(late.event_id, "processed");

    expect(one.code).toBe(1);
    expect(one.out).toMatch(/^1 card (verified|rebuilt), 0 /);
    expect(one.out).toContain(
      "1 event has failed and 0 wait: no row has what they say\n",
    );
    expect(one.out).toContain(
      `    failed ${late.event_id} of card ${cardId}: PostgreSQL 22003\n`,
    );
    expect(all.code).toBe(1);
    expect(all.out).toContain(late.event_id);
    await cli(["rebuild", "--card", cardId]);
  });

  test("reports a body that cannot be read by its event, and goes on with the others", async () => {
    const broken = await anAppliedEvent();
    const shortened = await anAppliedEvent();
    const edited = await anAppliedEvent();
    await setBody(broken.eventId, "canary, not JSON");
    await setBody(shortened.eventId, "{}");
    await service.rows(
      "update cards set status_reason = 'edited' where card_id = $1",
      [edited.cardId],
    );

    const { code, out, err } = await cli([command]);
    const { result } = await json([command]);
    const rows = await service.rows(
      "select card_status from cards where card_id = any($1)",
      [[broken.cardId, shortened.cardId]],
    );
    await service.rows("delete from webhook_events where event_id = any($1)", [
      [broken.eventId, shortened.eventId],
    ]);
    await service.rows("delete from cards where card_id = any($1)", [
      [broken.cardId, shortened.cardId, edited.cardId],
    ]);

    expect(code).toBe(1);
    expect(err).toBe("");
    for (const { eventId } of [broken, shortened])
      expect(out).toContain(`webhook_events ${eventId} body: cannot be read`);
    expect(out).toContain(`cards ${edited.cardId} status_reason: edited -> `);
    expect(out).toContain("2 events unreadable\n");
    expect(out).not.toContain("canary");
    expect(result?.["unreadable_events"]).toHaveLength(2);
    expect(rows).toEqual([
      { card_status: "FROZEN" },
      { card_status: "FROZEN" },
    ]);
  });
});

describe("verify", () => {
  test("says that an event waits where nobody applies it", async () => {
    const database = await createTestDatabase();
    databases.push(database);
    const api = await startTestService({
      queue: "postgres",
      database,
      env: { ROLE: "api" },
    });
    const event = aStatusUpdate();
    await deliver(api, event);

    const { code, out } = await cli(
      ["verify", "--card", String(event.data["card_id"])],
      { DATABASE_URL: database.url },
    );
    await api.stop();

    expect(code).toBe(1);
    expect(out).toContain("0 events have failed and 1 waits");
    expect(out).toContain(`    received ${event.event_id} of card `);
  });

  test("tells on standard error how far it is while it takes long", async () => {
    const { cardId } = await anAppliedEvent();
    const blocker = new pg.Client({ connectionString: service.databaseUrl });
    await blocker.connect();
    await blocker.query("begin; lock table cards in access exclusive mode");

    const running = start(["verify", "--card", cardId]);
    while (!running.stderr().includes("…"))
      await blocker.query("select pg_sleep(0.05)");
    await blocker.query("rollback");
    await blocker.end();

    expect(await running.ended).toBe(0);
    expect(running.stderr()).toMatch(/^.+ …\n/);
    expect(running.stdout()).toMatch(/^1 card verified, 0 differences\n$/);
  });
});

describe("a table", () => {
  test.each([["80"], ["120"], ["200"]])(
    "fits a terminal of %s columns, with its ids whole",
    async (COLUMNS) => {
      const { eventId, cardId } = await anAppliedEvent();
      const broken = {
        ...aStatusUpdate(),
        data: { card_id: cardId, card_status: 7, update_time: "no" },
      };
      await deliver(service, broken);

      const events = await cli(["events", "--card", cardId], { COLUMNS });
      const quarantine = await cli(["quarantine"], { COLUMNS });

      for (const { out } of [events, quarantine]) {
        const widths = out.split("\n").map(({ length }) => length);
        expect(Math.max(...widths)).toBeLessThanOrEqual(Number(COLUMNS));
      }
      expect(events.out).toContain(eventId);
      expect(events.out).toContain(cardId);
      expect(quarantine.out).toContain(broken.event_id);
    },
  );

  test("may be cut short by whoever reads it", async () => {
    await anAppliedEvent();
    const child = startCommand("sh", {
      args: [
        "-c",
        '{ "$0" "$1" events; echo "ended with $?" >&2; } | true',
        process.execPath,
        new URL("../../dist/src/cli.js", import.meta.url).pathname,
      ],
      cwd: tmpdir(),
      env: {
        UQPAY_WEBHOOK_SECRET: SECRET,
        DATABASE_URL: service.databaseUrl,
      },
    });

    await child.ended;

    expect(child.stderr()).toMatch(/^ended with 0$/m);
    expect(child.stderr()).not.toMatch(/EPIPE|^\s+at /m);
  });
});

describe("a database that will not do", () => {
  const everyCommand = [
    ["events"],
    ["event", "x"],
    ["quarantine"],
    ["replay", "--failed"],
    ["verify"],
    ["rebuild"],
    ["explain", "x"],
    ["prune"],
  ];

  async function expectOneSentence(url: string, sentence: RegExp) {
    for (const args of everyCommand) {
      const ended = await cli(args, {
        DATABASE_URL: url,
        RETENTION_DAYS: "30",
      });

      expect({ args, ...ended }).toMatchObject({ args, code: 1, out: "" });
      expect(ended.err).toMatch(sentence);
      expect(ended.err.trimEnd().split("\n")).toHaveLength(1);
    }
  }

  test("since it does not exist is named in one sentence", async () => {
    const url = new URL(service.databaseUrl);
    url.pathname = "/no_such_database";

    await expectOneSentence(
      url.href,
      /database "no_such_database" does not exist/,
    );
  });

  test("since it is empty is to be migrated first, and a dry run of that writes nothing", async () => {
    const database = await createEmptyDatabase();
    databases.push(database);

    await expectOneSentence(database.url, /is empty.*migrate/);
    const dry = await cli(["migrate", "--dry-run"], {
      DATABASE_URL: database.url,
    });
    await expectOneSentence(database.url, /is empty.*migrate/);

    expect(dry.code).toBe(0);
    expect(dry.out).toMatch(
      /^0001_inbox_and_projection\n[^]*\n\d+ would be applied\n$/,
    );
  });

  test("since it is of an older or a newer version is said to be", async () => {
    const database = await createTestDatabase();
    databases.push(database);
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const history = "uqpay_card_sync_migrations.kysely_migration";

    await client.query(
      `insert into ${history} (name, timestamp) values ('9999_of_tomorrow', now()::text)`,
    );
    await expectOneSentence(database.url, /newer version.*9999_of_tomorrow/);
    await client.query(
      `delete from ${history} where name = '9999_of_tomorrow' or name = (select max(name) from ${history} where name < '9999')`,
    );
    await expectOneSentence(database.url, /older version.*migrate/);
    await client.end();
  });
});

describe("send", () => {
  const url = () => `${service.baseUrl}/webhooks/uqpay`;

  test("ping is stored and touches no card, as often as it is sent", async () => {
    const before = await service.rows("select count(*) from cards");

    const first = await cli(["send", "ping", "--url", url()]);
    const second = await cli(["send", "ping", "--url", url()]);

    for (const { code, out } of [first, second]) {
      expect(code).toBe(0);
      expect(out).toMatch(/^200 \{"status":"ignored","event_id":"[^"]+"\}\n$/);
    }
    expect(await service.rows("select count(*) from cards")).toEqual(before);
  });

  test("signs as long ago as it is told to", async () => {
    const ended = await cli(["send", "ping", "--age", "10m", "--url", url()]);

    expect(ended.code).toBe(1);
    expect(ended.out).toMatch(/^401 .*stale_timestamp/);
  });

  test("without a source lists what there is", async () => {
    const { code, out } = await cli(["send"]);

    expect(code).toBe(0);
    expect(out.split("\n")).toEqual(
      expect.arrayContaining(["ping", "card.status.update.succeeded"]),
    );
  });

  test("sets several fields before or behind the source", async () => {
    const card_id = randomUUID();

    const ended = await cli([
      "send",
      "--set",
      `data.card_id=${card_id}`,
      "card.status.update.succeeded",
      "--set",
      "data.card_status=BLOCKED",
      "--new-id",
      "--url",
      url(),
    ]);
    await service.untilApplied();

    expect(ended.code).toBe(0);
    expect(
      await service.rows("select card_status from cards where card_id = $1", [
        card_id,
      ]),
    ).toEqual([{ card_status: "BLOCKED" }]);
  });
});
