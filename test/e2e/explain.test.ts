import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { CardExplanation } from "../../src/operate/explain.ts";
import { runCommandLine } from "../support/command-line.ts";
import {
  aCardUpdate,
  aStatusUpdate,
  anMccDecline,
  anOtp,
  deliver,
} from "../support/deliveries.ts";
import type { TestService } from "../support/service.ts";
import { startTestService } from "../support/service.ts";

let service: TestService;

beforeAll(async () => {
  service = await startTestService({ queue: "postgres" });
});

afterAll(async () => {
  await service.stop();
});

const explain = (
  cardId: string,
  args: readonly string[] = [],
  databaseUrl = service.databaseUrl,
) =>
  runCommandLine(["explain", cardId, ...args], { DATABASE_URL: databaseUrl });

async function tell(...events: readonly ReturnType<typeof aStatusUpdate>[]) {
  const firstMs = Date.now() - 100_000;
  for (const [index, event] of events.entries())
    await deliver(service, event, { atMs: firstMs + index * 1_000 });
  await service.untilApplied();
}

/** The lines of one event. */
function chapterOf(out: string, eventId: string): string {
  const chapter = out
    .split("\n\n")
    .find((part) => part.split("\n", 1)[0]?.includes(eventId));
  return chapter ?? "";
}

const aCard = () => ({ card_id: randomUUID() });

describe("explain answers first", () => {
  test("what the status is, since when, by which event, received when, and that the row agrees", async () => {
    const card = aCard();
    const frozen = aStatusUpdate({
      ...card,
      card_status: "FROZEN",
      update_time: "2026-04-12T10:00:00+08:00",
      update_reason: "lost",
    });
    await tell(aCardUpdate(card), frozen);
    const [{ received_at: receivedAt } = {}] = await service.rows(
      `select to_char(received_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as received_at
         from webhook_events where event_id = $1`,
      [frozen.event_id],
    );

    const { code, out } = await explain(card.card_id);

    const answer = out
      .split("\n\n")[0]
      ?.split("\n")
      .map((line) => line.trim());
    expect(code).toBe(0);
    expect(answer).toEqual([
      `Card ${card.card_id}`,
      "card_status  FROZEN",
      "reason       lost",
      "since        2026-04-12T02:00:00.000000Z",
      `by event     ${frozen.event_id}  card.status.update.succeeded`,
      `received     ${String(receivedAt)}`,
      expect.stringMatching(/^CONTRADICTED seen as ACTIVE in passing/),
      "row          agrees with the applied events",
      "open         nothing waits, has failed or is in quarantine",
    ]);
  });

  test("before all else that the row was edited by hand, what the events imply, and how it is put right", async () => {
    const event = aStatusUpdate({ ...aCard(), card_status: "FROZEN" });
    const card = String(event.data["card_id"]);
    await tell(event);
    await service.rows(
      "update cards set card_status = 'ACTIVE', card_bin = '1' where card_id = $1",
      [card],
    );

    const { code, out } = await explain(card);

    expect(code).toBe(1);
    expect(out.split("\n").slice(0, 4)).toEqual([
      `The row says card_status ACTIVE, the events imply FROZEN: rebuild --card ${card}`,
      "The row says card_bin 1, the events imply NULL",
      "",
      `Card ${card}`,
    ]);
    expect(out).toMatch(/^ {2}card_status {2}FROZEN$/m);
    expect(out).toMatch(/^ {2}row +DIFFERS/m);
  });

  test("that a transaction's row was edited", async () => {
    const event = anMccDecline(aCard());
    const card = String(event.data["card_id"]);
    await tell(event);
    await service.rows(
      "update transactions set merchant_name = 'edited' where card_id = $1",
      [card],
    );

    const { code, out } = await explain(card);

    expect(code).toBe(1);
    expect(out.split("\n")[0]).toBe(
      `The row of transaction ${String(event.data["transaction_id"])} authorization says merchant_name edited, the events imply SHOP: rebuild --card ${card}`,
    );
  });

  test("that the row is gone", async () => {
    const event = aStatusUpdate(aCard());
    const card = String(event.data["card_id"]);
    await tell(event);
    await service.rows("delete from cards where card_id = $1", [card]);

    const { code, out } = await explain(card);

    expect(code).toBe(1);
    expect(out.split("\n")[0]).toBe(
      `There is no row, its events imply one: rebuild --card ${card}`,
    );
    expect(out).toContain("card_status  FROZEN");
  });

  test("that no event explains the row", async () => {
    const event = aStatusUpdate(aCard());
    const card = String(event.data["card_id"]);
    await tell(event);
    await service.rows("delete from webhook_events where event_id = $1", [
      event.event_id,
    ]);

    const { code, out } = await explain(card);

    expect(code).toBe(1);
    expect(out).toMatch(/^There is a row, and no applied event explains it/);
    expect(out).toContain("The row says card_status FROZEN.");
  });

  test("of a card that nothing is known of, in one sentence", async () => {
    const { code, out, err } = await explain("no-such-card");

    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/^Nothing is known of card no-such-card: .*\n$/);
  });
});

describe("explain tells", () => {
  test("each event in effective order, what it changed in which column, and what was superseded and why", async () => {
    const card = aCard();
    const active = aStatusUpdate({
      ...card,
      card_status: "ACTIVE",
      update_time: "2026-04-12T08:00:00+08:00",
    });
    const frozen = aStatusUpdate({
      ...card,
      card_status: "FROZEN",
      update_time: "2026-04-12T09:00:00+08:00",
    });
    const cancelled = aStatusUpdate({
      ...card,
      card_status: "CANCELLED",
      update_time: "2026-04-12T10:00:00+08:00",
    });
    const late = aStatusUpdate(
      {
        ...card,
        card_status: "FROZEN",
        update_time: "2026-04-12T11:00:00+08:00",
      },
      // Of an order it would tell at least that.
      { source_id: "" },
    );
    const decline = anMccDecline(card);
    const otp = anOtp(card);
    await tell(late, cancelled, frozen, active, decline, otp);

    const { code, out } = await explain(card.card_id);

    expect(code).toBe(0);
    const places = [active, frozen, cancelled, late].map(({ event_id }) =>
      out.indexOf(`Z  card.status.update.succeeded  ${event_id}`),
    );
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places[0]).toBeGreaterThan(0);
    expect(chapterOf(out, active.event_id)).toContain(
      "    card_status: NULL -> ACTIVE\n",
    );
    expect(chapterOf(out, frozen.event_id)).toMatch(
      /^ {4}signed \S+Z, received \S+Z\n {4}card_status: ACTIVE -> FROZEN\n/m,
    );
    expect(chapterOf(out, late.event_id)).toMatch(/\n {4}changes nothing\n/);
    expect(chapterOf(out, late.event_id)).toContain(
      `card_status FROZEN is superseded by ${cancelled.event_id}: that cannot be taken back`,
    );
    expect(chapterOf(out, decline.event_id)).toMatch(
      new RegExp(
        `    transaction ${String(decline.data["transaction_id"])} authorization\n(?: .*\n)*      decline_category: NULL -> mcc`,
      ),
    );
    expect(chapterOf(out, otp.event_id)).toContain(
      "ignored: its type has no handler",
    );
    expect(out).not.toContain("48151623");
  });

  test("of what failed the last error, and of what waits that it does", async () => {
    const receiver = await startTestService({
      queue: "postgres",
      env: { ROLE: "api" },
    });
    const card = aCard();
    const [waits, failed] = [aStatusUpdate(card), aStatusUpdate(card)];
    await deliver(receiver, waits);
    await deliver(receiver, failed);
    await receiver.rows(
      "update webhook_events set state = 'failed', attempts = 8, last_error = 'PostgreSQL 22003: out of range' where event_id = $1",
      [failed.event_id],
    );

    const { code, out } = await explain(card.card_id, [], receiver.databaseUrl);
    await receiver.stop();

    expect(code).toBe(0);
    expect(out).toMatch(/card_status {2}not known/);
    expect(out).toMatch(/^ {2}open +1 not applied yet, 1 FAILED$/m);
    expect(chapterOf(out, failed.event_id)).toContain(
      "FAILED after 8 attempts: PostgreSQL 22003: out of range",
    );
    expect(chapterOf(out, waits.event_id)).toContain("WAITS, not applied yet");
  });

  test("what is in quarantine, also of a card of which nothing else is known", async () => {
    const card = aCard();
    await deliver(service, { ...aStatusUpdate(), data: card });

    const { code, out } = await explain(card.card_id);

    expect(code).toBe(0);
    expect(out).toMatch(/^ {2}open +1 in quarantine$/m);
    expect(out).toMatch(
      /^Quarantine \d+ {2}invalid_payload {2}card\.status\.update\.succeeded/m,
    );
    expect(out).toMatch(/^ {4}data\.card_status is required$/m);
  });

  test.each([
    ["that is not JSON", "{"],
    ["that says something else", "{}"],
  ])("the rest of the story beside a body %s", async (_what, body) => {
    const card = aCard();
    const [spoilt, sound] = [
      aCardUpdate(card),
      aStatusUpdate({ ...card, card_status: "BLOCKED" }),
    ];
    await tell(spoilt, sound);
    await service.rows(
      "update webhook_events set body = $2 where event_id = $1",
      [spoilt.event_id, body],
    );

    const { code, out, err } = await explain(card.card_id);

    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(chapterOf(out, spoilt.event_id)).toMatch(
      /this release cannot read its body.*\n(?: .*\n)* {4}observed_status: NULL -> ACTIVE/,
    );
    expect(chapterOf(out, sound.event_id)).toContain("-> BLOCKED");
  });

  test("what an event says in one line, also where that has line ends of its own", async () => {
    const event = aStatusUpdate({
      ...aCard(),
      update_reason: "lost\nThe row says card_status ACTIVE",
    });
    await tell(event);

    const { out } = await explain(String(event.data["card_id"]));

    expect(out).toContain("reason       lost\\x0aThe row says");
    expect(out).not.toMatch(/^The row says/m);
  });

  test("which optional field of an event could not be read", async () => {
    const event = aStatusUpdate({
      ...aCard(),
      available_balance: "1,000.00",
    });
    await tell(event);

    const { out } = await explain(String(event.data["card_id"]));

    expect(chapterOf(out, event.event_id)).toMatch(
      /^ {4}not read: data\.available_balance /m,
    );
    expect(chapterOf(out, event.event_id)).toContain(
      "card_status: NULL -> FROZEN",
    );
    expect(out).not.toContain("1,000.00");
  });

  test("of an event whose body was dropped what still stands", async () => {
    const card = aCard();
    const [old, recent] = [
      aStatusUpdate({
        ...card,
        card_status: "FROZEN",
        update_time: "2026-04-12T10:00:00+08:00",
      }),
      anMccDecline(card),
    ];
    await tell(old, recent);
    await service.rows(
      "update webhook_events set body = null where event_id = $1",
      [old.event_id],
    );

    const { code, out } = await explain(card.card_id);

    expect(code).toBe(0);
    expect(out).toMatch(/^ {2}since +2026-04-12T02:00:00/m);
    expect(out).toMatch(new RegExp(`^ {2}by event +${old.event_id}`, "m"));
    expect(chapterOf(out, old.event_id)).toMatch(
      /its body was dropped by retention.*\n(?: .*\n)* {4}card_status: NULL -> FROZEN/,
    );
  });
});

describe("explain --json", () => {
  test("gives the same as data, by the names of SQL", async () => {
    const card = aCard();
    const [frozen, active] = [
      aStatusUpdate({
        ...card,
        card_status: "FROZEN",
        update_time: "2026-04-12T10:00:00+08:00",
      }),
      aStatusUpdate({
        ...card,
        card_status: "ACTIVE",
        update_time: "2026-04-12T11:00:00+08:00",
      }),
    ];
    await tell(active, frozen);
    await service.rows("update cards set card_limit = 5 where card_id = $1", [
      card.card_id,
    ]);

    const { code, out } = await explain(card.card_id, ["--json"]);

    const { result } = JSON.parse(out) as { result: CardExplanation };
    expect(code).toBe(1);
    expect(result).toMatchObject({
      card_id: card.card_id,
      row: "differs",
      differences: [
        {
          table: "cards",
          column: "card_limit",
          row_says: "5",
          events_imply: null,
        },
      ],
      status: { card_status: "ACTIVE", event_id: active.event_id },
      open: { waiting: 0, failed: 0, quarantined: 0 },
      quarantined: [],
    });
    const [first, second] = result.events;
    expect(first).toMatchObject({
      event_id: frozen.event_id,
      state: "processed",
    });
    expect(first?.superseded).toEqual([
      {
        table: "cards",
        id: card.card_id,
        column: "card_status",
        value: "FROZEN",
        by: active.event_id,
        because: "later",
      },
    ]);
    expect(second?.changes).toContainEqual({
      table: "cards",
      id: card.card_id,
      column: "card_status",
      from: "FROZEN",
      to: "ACTIVE",
    });
    expect(out.match(/"\w*[a-z][A-Z]\w*":/g)).toBeNull();
  });
});
