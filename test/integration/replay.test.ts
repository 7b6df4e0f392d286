import { createHash, randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { instantFromEpochMs } from "../../src/domain/instant.ts";
import type { WebhookReceiver } from "../../src/receive-webhook.ts";
import { createWebhookReceiver } from "../../src/receive-webhook.ts";
import { verifyProjections } from "../../src/operate/recompute.ts";
import { reconcileEvents } from "../../src/apply-events.ts";
import { replayEvent, replayQuarantined } from "../../src/operate/replay.ts";
import type { Database } from "../../src/store/database.ts";
import { quarantine } from "../../src/store/quarantine.ts";
import { sign } from "../../src/uqpay/signature.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import {
  aCardUpdate,
  aStatusUpdate,
  anAuthorization,
  anMccDecline,
  anOtp,
  bytesOf,
} from "../support/deliveries.ts";
import type { Payload } from "../support/fixtures.ts";
import type { Reader } from "../support/service.ts";
import { SECRET, openReader } from "../support/service.ts";
import {
  openStore,
  receiverOptions,
  reconcileOptions,
} from "../support/store.ts";

/** A database with the two use cases over it, and no server and no queue: what is applied, a test applies. */
interface Inbox {
  readonly db: Database;
  readonly rows: Reader["rows"];
  readonly receive: (
    event: Payload | string,
    atMs?: number,
  ) => ReturnType<WebhookReceiver["receive"]>;
  readonly applyAll: () => Promise<void>;
  /** Keeps what comes as a release would whose schema does not know it. */
  readonly receiveBroken: (event: Payload, atMs: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

async function openInbox(): Promise<Inbox> {
  const database: TestDatabase = await createTestDatabase();
  const { db } = openStore(database.url);
  const reader = openReader(database.url);
  const receiver = createWebhookReceiver({
    ...receiverOptions(db),
    rules: { secrets: [SECRET], toleranceSeconds: 300 },
  });
  return {
    db,
    rows: reader.rows,
    receive: (event, atMs = Date.now()) => {
      const rawBody = bytesOf(event);
      const timestamp = String(atMs);
      return receiver.receive({
        rawBody,
        timestamp,
        signature: sign(rawBody, timestamp, SECRET),
      });
    },
    applyAll: async () => {
      const waiting = await reader.rows(
        "select event_id from webhook_events where state = 'received' order by event_id",
      );
      const { failed } = await reconcileEvents(
        waiting.map((row) => String(row["event_id"])),
        reconcileOptions(db),
      );
      expect(failed).toEqual([]);
    },
    receiveBroken: async (event, atMs) => {
      const body = bytesOf(event);
      await quarantine(db, [
        {
          reason: "invalid_payload",
          eventId: event.event_id,
          eventType: event.event_type,
          cardId: undefined,
          issues: [{ path: "data.card_status", message: "is not known" }],
          body,
          bodySha256: createHash("sha256").update(body).digest(),
          signedAt: instantFromEpochMs(atMs),
        },
      ]);
    },
    close: async () => {
      await db.destroy();
      await reader.close();
      await database.drop();
    },
  };
}

let inbox: Inbox;

beforeAll(async () => {
  inbox = await openInbox();
});

afterAll(async () => {
  await inbox.close();
});

async function accepted(event: Payload): Promise<string> {
  expect(await inbox.receive(event)).toMatchObject({ kind: "accepted" });
  await inbox.applyAll();
  return event.event_id;
}

const eventRow = async (eventId: string) =>
  (
    await inbox.rows("select * from webhook_events where event_id = $1", [
      eventId,
    ])
  )[0];

const quarantineRow = async (id: string) =>
  (await inbox.rows("select * from quarantined_events where id = $1", [id]))[0];

async function quarantineIdOf(event: Payload | string): Promise<string> {
  const [row] = await inbox.rows(
    "select id from quarantined_events where body_sha256 = $1 order by id desc limit 1",
    [createHash("sha256").update(bytesOf(event)).digest()],
  );
  return String(row?.["id"]);
}

/** Everything there is, without when rows were written. */
async function everything({ rows }: Inbox) {
  return {
    cards: await rows("select xmin, * from cards order by card_id"),
    authorizations: await rows(
      "select xmin, * from transactions order by transaction_id",
    ),
    events: await rows("select xmin, * from webhook_events order by event_id"),
    quarantined: await rows(
      "select xmin, * from quarantined_events order by id",
    ),
  };
}

async function fail(eventId: string): Promise<void> {
  await inbox.rows(
    "update webhook_events set state = 'failed', last_error = 'a fault', processed_at = null, attempts = 8 where event_id = $1",
    [eventId],
  );
}

describe("replaying an event of the inbox", () => {
  test("that is processed changes nothing of the projection", async () => {
    const eventId = await accepted(anMccDecline());
    const before = await everything(inbox);

    const replay = await replayEvent(inbox.db, eventId, false);

    const after = await everything(inbox);
    expect(replay).toEqual({ kind: "applied", changes: [] });
    expect(after.cards).toEqual(before.cards);
    expect(after.authorizations).toEqual(before.authorizations);
  });

  test("that failed applies it, and forgets the error", async () => {
    const event = aStatusUpdate({ card_status: "FROZEN" });
    await inbox.receive(event);
    await fail(event.event_id);

    const replay = await replayEvent(inbox.db, event.event_id, false);

    expect(replay).toMatchObject({ kind: "applied" });
    expect(await eventRow(event.event_id)).toMatchObject({
      state: "processed",
      attempts: 9,
      last_error: null,
    });
    expect(
      await inbox.rows("select card_status from cards where card_id = $1", [
        event.data["card_id"],
      ]),
    ).toEqual([{ card_status: "FROZEN" }]);
  });

  test("dry shows each column that would change, and changes nothing at all", async () => {
    const cardId = randomUUID();
    await accepted(aStatusUpdate({ card_id: cardId, card_status: "ACTIVE" }));
    const event = aStatusUpdate({
      card_id: cardId,
      card_status: "FROZEN",
      update_time: "2026-04-12T11:00:00+08:00",
    });
    await inbox.receive(event);
    await fail(event.event_id);
    const before = await everything(inbox);

    const dry = await replayEvent(inbox.db, event.event_id, true);

    expect(await everything(inbox)).toEqual(before);
    expect(dry).toMatchObject({ kind: "applied" });
    const changes = dry.kind === "applied" ? dry.changes : [];
    expect(
      changes
        .filter(
          ({ table, column }) =>
            table === "cards" && /^(?:card|status)_/.test(column),
        )
        .map(({ table, id, column, from, to }) => [
          table,
          id,
          column,
          from,
          to,
        ]),
    ).toEqual([
      ["cards", cardId, "card_status", "ACTIVE", "FROZEN"],
      [
        "cards",
        cardId,
        "status_changed_at",
        "2026-04-12T02:00:00.000000Z",
        "2026-04-12T03:00:00.000000Z",
      ],
    ]);
    expect(await replayEvent(inbox.db, event.event_id, false)).toEqual(dry);
  });

  test("restores a row that was lost", async () => {
    const event = anAuthorization();
    const eventId = await accepted(event);
    const [before] = await inbox.rows(
      "select * from transactions where event_id = $1",
      [eventId],
    );
    await inbox.rows("delete from transactions where event_id = $1", [eventId]);

    await replayEvent(inbox.db, eventId, false);

    const [after] = await inbox.rows(
      "select * from transactions where event_id = $1",
      [eventId],
    );
    expect({ ...after, updated_at: 0 }).toEqual({ ...before, updated_at: 0 });
  });

  test("that waits still leaves nothing for the worker to do", async () => {
    const event = aStatusUpdate();
    await inbox.receive(event);

    await replayEvent(inbox.db, event.event_id, false);
    await inbox.applyAll();

    expect(await eventRow(event.event_id)).toMatchObject({
      state: "processed",
      attempts: 1,
    });
  });

  test("that is valid no more says what is wrong, and changes nothing", async () => {
    const event = aStatusUpdate();
    await inbox.receive(event);
    await inbox.rows(
      "update webhook_events set body = replace(body, 'card_status', 'kard_status') where event_id = $1",
      [event.event_id],
    );
    await fail(event.event_id);
    const before = await everything(inbox);

    expect(await replayEvent(inbox.db, event.event_id, false)).toMatchObject({
      kind: "still-invalid",
      issues: [{ path: "data.card_status" }],
    });
    expect(await everything(inbox)).toEqual(before);
  });

  test("of a type without a handler says so and leaves it ignored", async () => {
    const event = { ...aCardUpdate(), event_type: "card.something.new" };
    await inbox.receive(event);

    expect(await replayEvent(inbox.db, event.event_id, false)).toEqual({
      kind: "ignored",
    });
    expect(await eventRow(event.event_id)).toMatchObject({ state: "ignored" });
  });

  test("that was ignored before its type had a handler applies it", async () => {
    const event = aStatusUpdate();
    await inbox.receive(event);
    await inbox.rows(
      "update webhook_events set state = 'ignored' where event_id = $1",
      [event.event_id],
    );

    const replay = await replayEvent(inbox.db, event.event_id, false);

    expect(replay.kind).toBe("applied");
    expect(await eventRow(event.event_id)).toMatchObject({
      state: "processed",
    });
  });

  test("of a sensitive type says that there is no body", async () => {
    const event = anOtp();
    await inbox.receive(event);

    expect(await replayEvent(inbox.db, event.event_id, false)).toEqual({
      kind: "no-body",
    });
  });

  test("that nobody knows says so", async () => {
    expect(await replayEvent(inbox.db, randomUUID(), false)).toEqual({
      kind: "not-found",
    });
  });

  test("many times at once gives the effect of once", async () => {
    const event = anMccDecline();
    await inbox.receive(event);

    const replays = await Promise.all(
      Array.from({ length: 8 }, () =>
        replayEvent(inbox.db, event.event_id, false),
      ),
    );

    expect(
      replays.filter(
        (replay) => replay.kind === "applied" && replay.changes.length > 0,
      ),
    ).toHaveLength(1);
  });

  test("lists the fields that can still not be read, and no others", async () => {
    const event = aCardUpdate({ card_limit: "1,000", currency: "SGD" });
    await accepted(event);
    await inbox.rows(
      "update webhook_events set issues = $2 where event_id = $1",
      [
        event.event_id,
        JSON.stringify([
          { path: "data.card_limit", message: "an earlier version said so" },
          { path: "data.currency", message: "can be read by now" },
        ]),
      ],
    );

    await replayEvent(inbox.db, event.event_id, false);

    expect(await eventRow(event.event_id)).toMatchObject({
      issues: [
        {
          path: "data.card_limit",
          message: "must be a decimal, as text or number",
        },
      ],
    });
  });
});

describe("replaying a quarantined delivery", () => {
  test("that is valid now takes it in as processed, and its resolution is recorded", async () => {
    const event = aStatusUpdate({ card_status: "BLOCKED" });
    await inbox.receiveBroken(event, Date.now());
    const id = await quarantineIdOf(event);

    const replay = await replayQuarantined(inbox.db, id, false);

    expect(replay.kind).toBe("applied");
    expect(await quarantineRow(id)).toMatchObject({
      resolution: "replayed",
      resolved_at: expect.any(String) as unknown,
    });
    expect(await eventRow(event.event_id)).toMatchObject({
      state: "processed",
      card_id: event.data["card_id"],
      source_id: event.source_id,
      body: JSON.stringify(event),
    });
  });

  test("of which only an optional field cannot be read takes it in, and lists the field", async () => {
    const event = aStatusUpdate({
      card_status: "CANCELLED",
      available_balance: "1,000.00",
    });
    await inbox.receiveBroken(event, Date.now());

    const replay = await replayQuarantined(
      inbox.db,
      await quarantineIdOf(event),
      false,
    );

    expect(replay.kind).toBe("applied");
    expect(await eventRow(event.event_id)).toMatchObject({
      state: "processed",
      issues: [
        {
          path: "data.available_balance",
          message: "must be a decimal, as text or number",
        },
      ],
    });
  });

  test("that an earlier version kept with a card's number and a code takes it in without them", async () => {
    const event = aStatusUpdate({
      card_number: "5555341244441115",
      cvv: "735",
    });
    await inbox.receiveBroken(event, Date.now());

    await replayQuarantined(inbox.db, await quarantineIdOf(event), false);

    const masked = { card_number: "555534******1115", cvv: null };
    expect(await eventRow(event.event_id)).toMatchObject({
      body: JSON.stringify({ ...event, data: { ...event.data, ...masked } }),
    });
    expect(
      await inbox.rows("select card_number from cards where card_id = $1", [
        event.data["card_id"],
      ]),
    ).toEqual([{ card_number: "555534******1115" }]);
  });

  test("makes a later redelivery a duplicate", async () => {
    const event = aStatusUpdate();
    await inbox.receiveBroken(event, Date.now());
    await replayQuarantined(inbox.db, await quarantineIdOf(event), false);

    expect(await inbox.receive(event)).toMatchObject({ kind: "duplicate" });
  });

  test("dry shows what would change, and changes nothing at all", async () => {
    const event = aStatusUpdate();
    await inbox.receiveBroken(event, Date.now());
    const id = await quarantineIdOf(event);
    const before = await everything(inbox);

    const dry = await replayQuarantined(inbox.db, id, true);

    expect(await everything(inbox)).toEqual(before);
    expect(dry).toMatchObject({ kind: "applied" });
    expect(dry.kind === "applied" && dry.changes).toContainEqual({
      table: "cards",
      id: event.data["card_id"],
      column: "card_status",
      from: null,
      to: "FROZEN",
    });
  });

  test("twice takes it in once", async () => {
    const event = aStatusUpdate();
    await inbox.receiveBroken(event, Date.now());
    const id = await quarantineIdOf(event);
    await replayQuarantined(inbox.db, id, false);
    const before = await everything(inbox);

    expect(await replayQuarantined(inbox.db, id, false)).toEqual({
      kind: "stored-already",
      changes: [],
    });
    expect(await everything(inbox)).toEqual(before);
  });

  test("whose redelivery was accepted meanwhile is closed as stored already", async () => {
    const event = aStatusUpdate();
    await inbox.receiveBroken(event, Date.now());
    const id = await quarantineIdOf(event);
    await accepted(event);

    expect(await replayQuarantined(inbox.db, id, false)).toEqual({
      kind: "stored-already",
      changes: [],
    });
    expect(await quarantineRow(id)).toMatchObject({
      resolution: "the same event is stored already",
    });
  });

  test("that contradicts a stored event is refused and stays open", async () => {
    const event = aStatusUpdate();
    await accepted(event);
    const other = { ...event, data: { ...event.data, card_status: "ACTIVE" } };
    await inbox.receive(other);
    const id = await quarantineIdOf(other);
    const before = await everything(inbox);

    expect(await replayQuarantined(inbox.db, id, false)).toEqual({
      kind: "conflict",
    });
    expect(await everything(inbox)).toEqual(before);
  });

  test("that is stale takes it in under the time it was signed at", async () => {
    const event = aCardUpdate();
    const signedMs = Date.now() - 3_600_000;
    expect(await inbox.receive(event, signedMs)).toEqual({
      kind: "stale_timestamp",
    });

    await replayQuarantined(inbox.db, await quarantineIdOf(event), false);

    const [row] = await inbox.rows(
      "select signed_at = $2::timestamptz as same from webhook_events where event_id = $1",
      [event.event_id, new Date(signedMs)],
    );
    expect(row).toEqual({ same: true });
  });

  test.each([
    ["is no JSON", "{", ""],
    ["lacks a field", '{"event_id":"e"}', "event_type"],
  ])("that still %s stays open", async (_, body, path) => {
    await inbox.receive(body);
    const id = await quarantineIdOf(body);

    expect(await replayQuarantined(inbox.db, id, false)).toMatchObject({
      kind: "still-invalid",
      issues: expect.arrayContaining([
        expect.objectContaining({ path }),
      ]) as unknown,
    });
    expect(await quarantineRow(id)).toMatchObject({ resolved_at: null });
  });

  test("of a sensitive type says that there is no body and stays open", async () => {
    const event = anOtp();
    await inbox.receive(event, Date.now() - 3_600_000);
    const [row] = await inbox.rows(
      "select id from quarantined_events where event_id = $1",
      [event.event_id],
    );
    const id = String(row?.["id"]);

    expect(await replayQuarantined(inbox.db, id, false)).toEqual({
      kind: "no-body",
    });
    expect(await quarantineRow(id)).toMatchObject({
      body: null,
      resolved_at: null,
    });
  });

  test("of a type without a handler stores it as ignored", async () => {
    const event = { ...aCardUpdate(), event_type: "card.something.new" };
    await inbox.receiveBroken(event, Date.now());
    const id = await quarantineIdOf(event);

    expect(await replayQuarantined(inbox.db, id, false)).toEqual({
      kind: "ignored",
    });
    expect(await eventRow(event.event_id)).toMatchObject({
      state: "ignored",
      processed_at: null,
    });
    expect(await quarantineRow(id)).toMatchObject({
      resolution: "replayed: stored, its type has no handler",
    });
  });

  test("twenty times at once takes it in once", async () => {
    const event = anMccDecline();
    await inbox.receiveBroken(event, Date.now());
    const id = await quarantineIdOf(event);

    const replays = await Promise.all(
      Array.from({ length: 20 }, () => replayQuarantined(inbox.db, id, false)),
    );

    const kinds = replays.map(({ kind }) => kind).toSorted();
    expect(kinds).toEqual([
      "applied",
      ...Array.from({ length: 19 }, () => "stored-already"),
    ]);
  });

  test("that no one knows says so", async () => {
    expect(await replayQuarantined(inbox.db, "999999999", false)).toEqual({
      kind: "not-found",
    });
  });
});

describe("what was quarantined while the schema was broken", () => {
  const [frozen, cancelled, declined] = [
    randomUUID(),
    randomUUID(),
    randomUUID(),
  ];
  const transaction_id = randomUUID();
  const startMs = Date.now() - 60_000;
  /** Three cards, told of out of order: each step depends on who won before. */
  const story: readonly Payload[] = [
    aCardUpdate({ card_id: frozen, card_limit: "100.10" }),
    aStatusUpdate({ card_id: frozen, card_status: "FROZEN" }),
    aStatusUpdate({ card_id: cancelled, card_status: "PRE_CANCEL" }),
    anAuthorization({
      card_id: declined,
      transaction_id,
      transaction_status: "PENDING",
    }),
    anMccDecline({ card_id: declined, transaction_id }),
    aStatusUpdate({ card_id: cancelled, card_status: "CANCELLED" }),
    aStatusUpdate({
      card_id: cancelled,
      card_status: "ACTIVE",
      update_time: "2026-04-12T12:00:00+08:00",
    }),
    aCardUpdate({ card_id: declined, risk_control: { blocked_mcc: ["5999"] } }),
    anAuthorization({ card_id: frozen, card_available_balance: "55" }),
  ];
  const projection = async ({ rows }: Inbox) => {
    const cards = await rows("select * from cards order by card_id");
    const authorizations = await rows(
      "select * from transactions order by transaction_id",
    );
    const declines = await rows("select * from mcc_declines");
    return [...cards, ...authorizations, ...declines].map((row) => ({
      ...row,
      updated_at: undefined,
    }));
  };

  test.each([
    ["all of it", () => true],
    ["every second event", (index: number) => index % 2 === 0],
    [
      "only what announces a status",
      (index: number) =>
        story[index]?.event_type === "card.status.update.succeeded",
    ],
  ])(
    "gives the same rows after the fix as if it had never been: %s",
    async (_, isBroken) => {
      const whole = await openInbox();
      const broken = await openInbox();
      for (const [index, event] of story.entries()) {
        const atMs = startMs + index * 1_000;
        expect(await whole.receive(event, atMs)).toMatchObject({
          kind: "accepted",
        });
        if (isBroken(index)) await broken.receiveBroken(event, atMs);
        else await broken.receive(event, atMs);
      }
      // Both came at the same moments, as far as these databases know.
      const received = await whole.rows(
        "select event_id, received_at from webhook_events",
      );
      for (const { event_id, received_at } of received)
        for (const table of ["webhook_events", "quarantined_events"])
          await broken.rows(
            `update ${table} set received_at = $2 where event_id = $1`,
            [event_id, received_at],
          );
      await whole.applyAll();
      await broken.applyAll();

      const open = await broken.rows(
        "select id from quarantined_events order by md5(id::text)",
      );
      for (const { id } of open) {
        const replay = await replayQuarantined(broken.db, String(id), false);
        expect(replay.kind).toBe("applied");
      }

      expect(await projection(broken)).toEqual(await projection(whole));
      const envelope =
        "event_id, event_type, event_name, version, source_id, card_id, body, body_sha256, signed_at, received_at, state, attempts, last_error";
      expect(
        await broken.rows(
          `select ${envelope} from webhook_events order by event_id`,
        ),
      ).toEqual(
        await whole.rows(
          `select ${envelope} from webhook_events order by event_id`,
        ),
      );
      expect(
        await broken.rows(
          "select count(*) from quarantined_events where resolved_at is null",
        ),
      ).toEqual([{ count: "0" }]);
      for await (const { changes } of verifyProjections(broken.db))
        expect(changes).toEqual([]);
      await whole.close();
      await broken.close();
    },
    60_000,
  );
});
