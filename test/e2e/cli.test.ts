import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { runCommandLine } from "../support/command-line.ts";
import {
  aCardUpdate,
  aStatusUpdate,
  anMccDecline,
  aRecharge,
  anOtp,
  deliver,
} from "../support/deliveries.ts";
import { findFreePort } from "../support/redis-server.ts";
import type { TestService } from "../support/service.ts";
import { startTestService } from "../support/service.ts";

let service: TestService;

beforeAll(async () => {
  service = await startTestService({ queue: "postgres" });
});

afterAll(async () => {
  await service.stop();
});

const cli = (args: readonly string[], env: Record<string, string> = {}) =>
  runCommandLine(args, { DATABASE_URL: service.databaseUrl, ...env });

async function tell(...events: readonly ReturnType<typeof aStatusUpdate>[]) {
  const firstMs = Date.now() - 100_000;
  for (const [index, event] of events.entries())
    await deliver(service, event, { atMs: firstMs + index * 1_000 });
  await service.untilApplied();
}

const quarantineIdOf = async (eventId: string) =>
  String(
    (
      await service.rows(
        "select id from quarantined_events where event_id = $1",
        [eventId],
      )
    )[0]?.["id"],
  );

/** Valid but for one field; `data` is what the next release would understand. */
const aBrokenUpdate = (data: object = {}) => ({
  ...aStatusUpdate(),
  data: { card_id: randomUUID(), ...data },
});

/** What the code of today cannot read becomes what it can: the fix of a schema, from the other side. */
async function repair(eventId: string, right: object): Promise<void> {
  await service.rows(
    "update quarantined_events set body = $2 where event_id = $1",
    [eventId, Buffer.from(JSON.stringify(right))],
  );
}

describe("a command that is not understood", () => {
  test.each<[string, string[], RegExp]>([
    ["none", [], /Usage: uqpay-card-sync <command>/],
    ["one that there is not", ["evnts"], /'evnts'\n\(Did you mean events\?\)/],
    ["__proto__", ["__proto__"], /unknown command '__proto__'/],
    [
      "an option that is misspelt",
      ["prune", "--dryrun"],
      /'--dryrun'\n\(Did you mean --dry-run\?\)/,
    ],
    [
      "an option without its dashes",
      ["prune", "dry-run"],
      /'dry-run' is one too many\.\n\(Did you mean --dry-run\?\)/,
    ],
    [
      "an option of another command",
      ["events", "--quarantined"],
      /unknown option '--quarantined'/,
    ],
    [
      "an option that is given twice",
      ["events", "--card", "a", "--card", "b"],
      /'--card <card_id>' .* given twice/,
    ],
    [
      "an option without its value",
      ["verify", "--card"],
      /'--card <card_id>' argument missing/,
    ],
    [
      "events in an unknown state",
      ["events", "--state", "broken"],
      /received, processed, ignored, failed/,
    ],
    [
      "events since no time",
      ["events", "--since", "yesterday"],
      /2026-04-12T10:00:00Z/,
    ],
    ["events without limit", ["events", "--limit", "0"], /a number from 1/],
    [
      "quarantine for no reason",
      ["quarantine", "--reason", "x"],
      /invalid_json/,
    ],
    [
      "dismissing without saying why",
      ["quarantine", "--dismiss", "1"],
      /--note "why"/,
    ],
    [
      "dismissing what is no id",
      ["quarantine", "--dismiss", "x", "--note", "y"],
      /'x' is none/,
    ],
    [
      "dismissing with a filter",
      ["quarantine", "--dismiss", "1", "--note", "y", "--type", "t"],
      /--type cannot be used/,
    ],
    [
      "a note without dismissing",
      ["quarantine", "--note", "y"],
      /--dismiss <id>/,
    ],
    ["replaying nothing", ["replay"], /say what is replayed/],
    [
      "replaying quarantined by event id",
      ["replay", "--quarantined", "abc"],
      /'abc' is none/,
    ],
    [
      "replaying ids with a restriction",
      ["replay", "abc", "--since", "1h"],
      /--since cannot be used/,
    ],
    [
      "replaying the quarantine by a state",
      ["replay", "--quarantined", "--failed"],
      /--failed cannot be used/,
    ],
    ["explaining nothing", ["explain"], /missing required argument 'card_id'/],
    [
      "sending what there is not",
      ["send", "card.status.update.succeded"],
      /Did you mean card\.status\.update\.succeeded\?/,
    ],
    ["sending nothing, anew", ["send", "--new-id"], /say what is sent/],
    [
      "serve with a misspelt option",
      ["serve", "--rolle", "worker"],
      /'--rolle'\n\(Did you mean --role\?\)/,
    ],
    ["serve in no role", ["serve", "--role", "boss"], /all, api, worker/],
    ["migrate with an option", ["migrate", "--now"], /unknown option '--now'/],
  ])(
    "(%s) ends with 2 and says what is meant, without a stack",
    async (_, args, sentence) => {
      const ended = await cli(args);

      expect(ended.code).toBe(2);
      expect(ended.out).toBe("");
      expect(ended.err).toMatch(sentence);
      expect(ended.err).not.toMatch(/^\s+at |node:internal/m);
    },
  );

  test.each([
    ["pruning without RETENTION_DAYS", ["prune"], /RETENTION_DAYS is not set/],
    [
      "explaining an unknown card",
      ["explain", "nobody"],
      /Nothing is known of card nobody/,
    ],
    ["sending no JSON", ["send", "none.json"], /none\.json cannot be read/],
  ])(
    "(%s) ends with 1 where it is understood and cannot be done",
    async (_, args, sentence) => {
      const ended = await cli(args);

      expect(ended).toMatchObject({ code: 1, out: "" });
      expect(ended.err).toMatch(sentence);
      expect(ended.err).not.toMatch(/^\s+at |node:internal/m);
    },
  );

  test.each([
    ["serve"],
    ["migrate"],
    ["verify"],
    ["rebuild"],
    ["prune"],
    ["events"],
    ["quarantine"],
  ])(
    "%s does not take an argument for nothing: it could be meant as a restriction",
    async (command) => {
      const ended = await cli([command, "card-1"], { RETENTION_DAYS: "30" });

      expect(ended.code).toBe(2);
      expect(ended.err).toContain(`${command} takes no argument: 'card-1'`);
    },
  );

  test("names every variable that is wrong, and no value", async () => {
    const ended = await cli(["events"], {
      DATABASE_URL: "mysql://root:hunter2@h/d",
      UQPAY_WEBHOOK_SECRET: "whsec_development",
    });

    expect(ended.code).toBe(1);
    expect(ended.err).toMatch(/DATABASE_URL: must be a postgres/);
    expect(ended.err).toMatch(
      /UQPAY_WEBHOOK_SECRET: must not be the development secret/,
    );
    expect(ended.err).not.toMatch(/hunter2|\n\s+at /);
  });
});

describe("events", () => {
  test("shows the control characters of a name, which a terminal would obey", async () => {
    const card_id = `c-${randomUUID()}\x1b[2J\x9b31m\nfake`;
    await tell(aStatusUpdate({ card_id }));

    const { out } = await cli(["events", "--card", card_id]);

    expect(out).toContain("\\x1b[2J\\x9b31m\\x0afake");
    expect(out).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  });

  test("lists the newest of what was asked for, the oldest of them first", async () => {
    const cardId = randomUUID();
    const first = aStatusUpdate({ card_id: cardId });
    const second = aCardUpdate({ card_id: cardId });
    await tell(first, second);

    const all = await cli(["events", "--card", cardId]);
    const oneType = await cli([
      "events",
      "--card",
      cardId,
      "--type",
      "card.update.succeeded",
    ]);
    const none = await cli(["events", "--card", cardId, "--state", "failed"]);
    const limited = await cli([
      "events",
      "--card",
      cardId,
      "--limit",
      "1",
      "--since",
      "1h",
    ]);
    const future = await cli([
      "events",
      "--card",
      cardId,
      "--since",
      "2999-01-01T00:00:00Z",
    ]);

    expect(all.code).toBe(0);
    expect(all.out.indexOf(first.event_id)).toBeGreaterThan(0);
    expect(all.out.indexOf(second.event_id)).toBeGreaterThan(
      all.out.indexOf(first.event_id),
    );
    expect(oneType.out).not.toContain(first.event_id);
    expect(oneType.out).toContain(second.event_id);
    expect(none.out).not.toContain(cardId);
    expect(limited.out).not.toContain(first.event_id);
    expect(limited.out).toContain(second.event_id);
    expect(future.out).not.toContain(cardId);
  });
});

describe("quarantine", () => {
  test("lists open deliveries with what is wrong, and dismissing closes them with the note", async () => {
    const event = aBrokenUpdate();
    await deliver(service, event);
    await deliver(service, event);
    const id = await quarantineIdOf(event.event_id);

    const listed = await cli(["quarantine", "--reason", "invalid_payload"]);
    const dismissed = await cli([
      "quarantine",
      "--dismiss",
      id,
      "--note",
      "a test card",
    ]);
    const again = await cli([
      "quarantine",
      "--dismiss",
      id,
      "--note",
      "once more",
    ]);
    const open = await cli(["quarantine"]);
    const all = await cli(["quarantine", "--all"]);

    const line = listed.out
      .split("\n")
      .find((text) => text.includes(event.event_id));
    expect(line).toMatch(/invalid_payload .* 2 .*data\.card_status/);
    expect(dismissed).toEqual({ code: 0, out: "1 closed\n", err: "" });
    expect(again).toMatchObject({
      code: 1,
      out: "0 closed, 1 not: there is no open entry of that id\n",
    });
    expect(open.out).not.toContain(event.event_id);
    expect(all.out).toContain("dismissed: a test card");
    expect(
      await service.rows(
        "select resolution, resolved_at is not null as is_dated from quarantined_events where id = $1",
        [id],
      ),
    ).toEqual([{ resolution: "dismissed: a test card", is_dated: true }]);
  });
});

describe("replay", () => {
  test("by id: dry shows each column from what to what, and only then it changes", async () => {
    const cardId = randomUUID();
    const event = aStatusUpdate({
      card_id: cardId,
      update_time: "2026-04-12T11:00:00+08:00",
    });
    await tell(
      aStatusUpdate({ card_id: cardId, card_status: "ACTIVE" }),
      event,
    );
    const statusIs = async () =>
      (
        await service.rows("select card_status from cards where card_id = $1", [
          cardId,
        ])
      )[0]?.["card_status"];
    await service.rows("delete from cards where card_id = $1", [cardId]);

    const dry = await cli(["replay", event.event_id, "--dry-run"]);
    const afterDry = await statusIs();
    const real = await cli(["replay", event.event_id]);

    expect(dry.code).toBe(0);
    expect(dry.out).toContain(`${event.event_id}: would be applied\n`);
    expect(dry.out).toContain(
      `    cards ${cardId} card_status: NULL -> FROZEN\n`,
    );
    expect(dry.out).toContain(
      "1 looked at, nothing changed, 0 of them could not be applied\n",
    );
    expect(afterDry).toBeUndefined();
    expect(real.out).toContain("1 replayed, 0 of them could not be applied\n");
    expect(await statusIs()).toBe("FROZEN");
  });

  test("of a processed event says that it changes nothing", async () => {
    const event = aStatusUpdate();
    await tell(event);

    const ended = await cli(["replay", event.event_id]);

    expect(ended).toMatchObject({ code: 0, err: "" });
    expect(ended.out).toContain(
      `${event.event_id}: applied, changes nothing\n`,
    );
  });

  test("of what was ignored gives that its effect which has a handler now, and passes over the rest", async () => {
    const recharge = aRecharge();
    await tell(recharge, anOtp());
    await service.rows("delete from cards where card_id = $1", [
      recharge.data["card_id"],
    ]);
    await service.rows(
      "update webhook_events set state = 'ignored' where event_id = $1",
      [recharge.event_id],
    );

    const ended = await cli(["replay", "--state", "ignored"]);

    expect(ended).toMatchObject({ code: 0, err: "" });
    expect(ended.out).toContain(`${recharge.event_id}: applied\n`);
    expect(ended.out).toMatch(/^\d+ of a type that has no handler$/m);
    expect(ended.out).toMatch(/ replayed, 0 of them could not be applied\n$/);
    expect(
      await service.rows(
        "select available_balance from cards where card_id = $1",
        [recharge.data["card_id"]],
      ),
    ).toEqual([{ available_balance: "242" }]);
  });

  test("of what cannot be applied says why of each, and ends with 1", async () => {
    const otp = anOtp();
    await tell(otp);

    const ended = await cli(["replay", "unknown", otp.event_id]);

    expect(ended.code).toBe(1);
    expect(ended.out).toContain("unknown: not found\n");
    expect(ended.out).toContain(`${otp.event_id}: its body is not kept`);
    expect(ended.out).toContain("2 of them could not be applied\n");
  });

  test("of all failed applies them, restricted by card, type and time", async () => {
    const [mine, others] = [aStatusUpdate(), aStatusUpdate()];
    await tell(mine, others);
    await service.rows("delete from cards");
    await service.rows(
      "update webhook_events set state = 'failed', last_error = 'x' where event_id = any($1)",
      [[mine.event_id, others.event_id]],
    );

    const tooLate = await cli([
      "replay",
      "--failed",
      "--until",
      "2020-01-01T00:00:00Z",
    ]);
    const wrongType = await cli([
      "replay",
      "--failed",
      "--type",
      "card.update.succeeded",
    ]);
    const one = await cli([
      "replay",
      "--failed",
      "--card",
      String(mine.data["card_id"]),
    ]);
    const rest = await cli(["replay", "--failed"]);

    expect(tooLate.out).toMatch(/^0 replayed/);
    expect(wrongType.out).toMatch(/^0 replayed/);
    expect(one.out).toContain(mine.event_id);
    expect(one.out).not.toContain(others.event_id);
    expect(rest.out).toContain(others.event_id);
    expect(
      await service.rows(
        "select event_id from webhook_events where state = 'failed'",
      ),
    ).toEqual([]);
  });

  test("of the quarantine takes in what is valid now, and says what is not", async () => {
    const [right, wrong] = [aBrokenUpdate(), aBrokenUpdate()];
    await deliver(service, right);
    await deliver(service, wrong);
    await repair(right.event_id, {
      ...right,
      data: aStatusUpdate(right.data).data,
    });

    const ended = await cli([
      "replay",
      "--quarantined",
      "--type",
      "card.status.update.succeeded",
      "--since",
      "1h",
    ]);

    expect(ended.code).toBe(1);
    expect(ended.out).toMatch(new RegExp(`\\(${right.event_id}\\): applied`));
    expect(ended.out).toMatch(
      new RegExp(`\\(${wrong.event_id}\\): still invalid: data\\.card_status`),
    );
    expect(
      await service.rows(
        "select resolution from quarantined_events where event_id = any($1) order by id",
        [[right.event_id, wrong.event_id]],
      ),
    ).toEqual([{ resolution: "replayed" }, { resolution: null }]);
    expect(
      await service.rows(
        "select state from webhook_events where event_id = $1",
        [right.event_id],
      ),
    ).toEqual([{ state: "processed" }]);
  });

  test("of the quarantine by id and by reason touches no others", async () => {
    const [one, stale] = [aBrokenUpdate(), aStatusUpdate()];
    await deliver(service, one);
    await deliver(service, stale, { atMs: Date.now() - 3_600_000 });

    const byId = await cli([
      "replay",
      "--quarantined",
      await quarantineIdOf(one.event_id),
      "--dry-run",
    ]);
    const byReason = await cli(["replay", "--reason", "stale_timestamp"]);

    expect(byId.out).toContain(one.event_id);
    expect(byId.out).toContain("1 looked at");
    expect(byReason.code).toBe(0);
    expect(byReason.out).toContain(`(${stale.event_id}): applied`);
    expect(byReason.out).not.toContain(one.event_id);
  });

  test("of the quarantine for one card touches no other card's", async () => {
    const [mine, others] = [aStatusUpdate(), aStatusUpdate()];
    await deliver(service, mine, { atMs: Date.now() - 3_600_000 });
    await deliver(service, others, { atMs: Date.now() - 3_600_000 });

    const ended = await cli([
      "replay",
      "--quarantined",
      "--card",
      String(mine.data["card_id"]),
    ]);

    expect(ended.out).not.toContain(others.event_id);
    expect(
      await service.rows(
        "select event_id from quarantined_events where event_id = any($1) and resolved_at is null",
        [[mine.event_id, others.event_id]],
      ),
    ).toEqual([{ event_id: others.event_id }]);
  });

  test("of a conflict refuses and leaves the first content", async () => {
    const event = aStatusUpdate();
    await tell(event);
    await deliver(service, {
      ...event,
      data: { ...event.data, card_status: "ACTIVE" },
    });

    const ended = await cli([
      "replay",
      "--quarantined",
      await quarantineIdOf(event.event_id),
    ]);

    expect(ended.code).toBe(1);
    expect(ended.out).toContain(
      "another content is stored under this event_id; the first one stays",
    );
    expect(
      await service.rows("select card_status from cards where card_id = $1", [
        event.data["card_id"],
      ]),
    ).toEqual([{ card_status: "FROZEN" }]);
  });
});

describe("verify and rebuild", () => {
  test("report each difference, end with 1 while there is one, and put it right", async () => {
    const event = anMccDecline();
    await tell(event);
    await service.rows(
      "update transactions set merchant_name = 'edited' where event_id = $1",
      [event.event_id],
    );
    const line = `    transactions ${String(event.data["transaction_id"])} authorization merchant_name: edited -> SHOP\n`;
    const card = String(event.data["card_id"]);

    const found = await cli(["verify"]);
    const one = await cli(["verify", "--card", card]);
    const rebuilt = await cli(["rebuild", "--card", card]);
    const right = await cli(["verify", "--card", card]);

    expect(found.code).toBe(1);
    expect(found.out).toContain(line);
    expect(one.out).toBe(`${line}1 card verified, 1 difference\n`);
    expect(rebuilt).toEqual({
      code: 0,
      out: `${line}1 card rebuilt, 1 column changed\n`,
      err: "",
    });
    expect(right).toEqual({
      code: 0,
      out: "1 card verified, 0 differences\n",
      err: "",
    });
  });
});

describe("prune", () => {
  test("dry tells how many bodies it would drop and drops none; then it drops them", async () => {
    const event = aStatusUpdate();
    await tell(event);
    await service.rows(
      "update webhook_events set received_at = now() - interval '40 days' where event_id = $1",
      [event.event_id],
    );
    const bodyIsGone = async () =>
      (
        await service.rows(
          "select body is null as is_gone from webhook_events where event_id = $1",
          [event.event_id],
        )
      )[0]?.["is_gone"];

    const dry = await cli(["prune", "--dry-run"], { RETENTION_DAYS: "30" });
    const afterDry = await bodyIsGone();
    const real = await cli(["prune"], { RETENTION_DAYS: "30" });
    const again = await cli(["prune"], { RETENTION_DAYS: "30" });

    expect(dry.out).toMatch(
      /^1 bodies of events and 0 of resolved quarantined deliveries from before \d{4}-.* would be dropped\n$/,
    );
    expect(afterDry).toBe(false);
    expect(real.out).toMatch(/^1 bodies of events .* were dropped\n$/);
    expect(await bodyIsGone()).toBe(true);
    expect(again.out).toMatch(/^0 bodies of events/);
  });
});

describe("migrate", () => {
  test("says that the database is up to date", async () => {
    expect(await cli(["migrate"], { LOG_LEVEL: "silent" })).toEqual({
      code: 0,
      out: "The database is up to date.\n",
      err: "",
    });
  });
});

describe("send", () => {
  test("signs and posts an example, and prints the answer", async () => {
    const ended = await cli([
      "send",
      "card.status.update.succeeded",
      "--new-id",
      "--set",
      "data.card_status=BLOCKED",
      "--url",
      `${service.baseUrl}/webhooks/uqpay`,
    ]);

    expect(ended.code).toBe(0);
    expect(ended.out).toMatch(
      /^200 \{"status":"accepted","event_id":"[0-9a-f-]{36}"\}\n$/,
    );
  });

  test("ends with 1 when it is refused, and when nothing answers", async () => {
    const refused = await cli([
      "send",
      "card.status.update.succeeded",
      "--secret",
      "wrong",
      "--url",
      `${service.baseUrl}/webhooks/uqpay`,
    ]);
    const nobody = await cli([
      "send",
      "card.status.update.succeeded",
      "--url",
      `http://127.0.0.1:${String(await findFreePort())}/`,
    ]);

    expect(refused.code).toBe(1);
    expect(refused.out).toMatch(/^401 .*invalid_signature/);
    expect(nobody.code).toBe(1);
    expect(nobody.err).toMatch(/Is the service running/);
  });
});
