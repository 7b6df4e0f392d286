import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { sql } from "kysely";
import type { CardEvent } from "../../src/domain/card-event.ts";
import type { Instant } from "../../src/domain/instant.ts";
import { instantFromEpochMs } from "../../src/domain/instant.ts";
import {
  applyEarlierCopies,
  applyStalledCopies,
} from "../../src/operate/earlier-copies.ts";
import { createWebhookReceiver } from "../../src/receive-webhook.ts";
import { reconcileEvents } from "../../src/apply-events.ts";
import { replayQuarantined } from "../../src/operate/replay.ts";
import { PROJECTIONS } from "../../src/projections/index.ts";
import type { Row } from "../../src/projections/rows.ts";
import {
  fold,
  idOf,
  keyColumns,
  keyOfRow,
  statementsIn,
  toRow,
} from "../../src/projections/rows.ts";
import type { Database } from "../../src/store/database.ts";
import { recordEvents } from "../../src/store/inbox.ts";
import { decodeKeptEvent } from "../../src/uqpay/decode-event.ts";
import { sign } from "../../src/uqpay/signature.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import {
  aCardUpdate,
  aCardholderEvent,
  aPinBlock,
  aRecharge,
  anOrderFailure,
  aStatusUpdate,
  anAuthorization,
  bytesOf,
} from "../support/deliveries.ts";
import type { Payload } from "../support/fixtures.ts";
import { SECRET, openReader } from "../support/service.ts";
import {
  inboxEntryOf,
  openStore,
  receiverOptions,
  reconcileOptions,
} from "../support/store.ts";

const RUNS = 40;
const SIGNED_FROM_MS = Date.parse("2026-04-12T10:00:10Z");

/** An event of the history, without its ids: those must be new in each run. */
interface Draft {
  readonly signedAtMs: number;
  readonly write: (run: string, id: string) => Payload;
}

const orders = fc.constantFrom("o1", "o2");
const cards = fc.constantFrom("card-a", "card-b", "card-💳");
// Few moments, so that ties are common; some after the signing, where they are capped.
const time = fc
  .integer({ min: 6, max: 13 })
  .map((second) => `2026-04-12T10:00:${String(second).padStart(2, "0")}Z`);
const signedAtMs = fc
  .integer({ min: 0, max: 3 })
  .map((second) => SIGNED_FROM_MS + second * 1_000);
const maybe = <T>(value: fc.Arbitrary<T>) =>
  fc.option(value, { nil: undefined });
const amount = fc.constantFrom(
  "0",
  "1.10",
  "99.999",
  "1e2",
  "-0.5",
  "12345678901234567890.01",
);

const statusUpdate = fc
  .record({
    card: cards,
    at: time,
    signedAtMs,
    status: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom("ACTIVE", "FROZEN", "BLOCKED") },
      { weight: 2, arbitrary: fc.constant("PRE_CANCEL") },
      {
        weight: 1,
        arbitrary: fc.constantFrom("CANCELLED", "FAILED", "NEW_WORD"),
      },
    ),
    reason: maybe(fc.constantFrom("a", " b ", "😀")),
    balance: maybe(amount),
  })
  .map(({ card, at, status, reason, balance, ...draft }): Draft => ({
    ...draft,
    write: (run, event_id) =>
      aStatusUpdate(
        {
          card_id: `${run} ${card}`,
          card_status: status,
          update_time: at,
          update_reason: reason,
          available_balance: balance,
        },
        { event_id, source_id: `${run} ${event_id}` },
      ),
  }));

const cardUpdate = fc
  .record({
    card: cards,
    signedAtMs,
    status: maybe(
      fc.constantFrom("ACTIVE", "FROZEN", "PRE_CANCEL", "CANCELLED"),
    ),
    limit: maybe(amount),
    blocked: maybe(fc.constantFrom([], ["5999"], ["0742", "6551"])),
    metadata: maybe(
      fc.constantFrom({}, { a: "1" }, { "": "" }, { b: [1.5, null] }),
    ),
    control: maybe(amount),
  })
  .map(
    ({ card, status, limit, blocked, metadata, control, ...draft }): Draft => ({
      ...draft,
      write: (run, event_id) =>
        aCardUpdate(
          {
            card_id: `${run} ${card}`,
            card_status: status,
            card_limit: limit,
            risk_control: blocked && { blocked_mcc: blocked },
            metadata,
            spending_controls: control && [
              { amount: control, interval: "PER_TRANSACTION" },
            ],
          },
          { event_id, source_id: `${run} o1` },
        ),
    }),
  );

const recharge = fc
  .record({
    card: cards,
    order: orders,
    orderStatus: maybe(fc.constantFrom("SUCCESS", "PROCESSING")),
    at: maybe(time),
    signedAtMs,
    status: maybe(fc.constantFrom("ACTIVE", "FROZEN")),
    balance: maybe(amount),
  })
  .map(
    ({ card, order, orderStatus, at, status, balance, ...draft }): Draft => ({
      ...draft,
      write: (run, event_id) =>
        aRecharge(
          {
            card_id: `${run} ${card}`,
            card_status: status,
            complete_time: at,
            card_available_balance: balance,
            order_status: orderStatus,
          },
          { event_id, source_id: `${run} ${order}` },
        ),
    }),
  );

/** About an order of any card, or of none: about one row with and without a card. */
const orderFailure = fc
  .record({
    type: fc.constantFrom(
      "create" as const,
      "update" as const,
      "recharge" as const,
    ),
    card: maybe(cards),
    order: orders,
    at: maybe(time),
    signedAtMs,
    orderStatus: maybe(fc.constantFrom("FAILED", "PENDING")),
    reason: maybe(fc.constantFrom("no funds", "😀")),
  })
  .map(({ type, card, order, at, orderStatus, reason, ...draft }): Draft => ({
    ...draft,
    write: (run, event_id) =>
      anOrderFailure(
        type,
        {
          card_id: card && `${run} ${card}`,
          order_status: orderStatus,
          failure_reason: reason,
          update_time: at,
        },
        { event_id, source_id: `${run} ${order}` },
      ),
  }));

/**
 * Of no card, and its body is gone once it is applied. Each at a time of its own: what a tie takes from it nobody knows
 * any more when a copy that was signed earlier decides the tie otherwise.
 */
const cardholderEvent = fc
  .record({
    type: fc.constantFrom("kyc.status_changed" as const, "updated" as const),
    signedAtMs,
    status: maybe(fc.constantFrom("SUCCESS", "PENDING")),
  })
  .map(({ type, status, ...draft }): Draft => ({
    ...draft,
    write: (run, event_id) =>
      aCardholderEvent(
        type,
        {
          cardholder_id: `${run} holder`,
          cardholder_status: status,
          update_time: `2026-04-12T09:00:00.${/\d+$/.exec(event_id)?.[0] ?? "0"}Z`,
        },
        { event_id },
      ),
  }));

const pinBlock = fc
  .record({ card: cards, signedAtMs })
  .map(({ card, ...draft }): Draft => ({
    ...draft,
    write: (run, event_id) =>
      aPinBlock({ card_id: `${run} ${card}` }, { event_id }),
  }));

const transaction = fc
  .record({
    // Without a card it is of a kind that needs none.
    card: maybe(cards),
    kind: fc.constantFrom("authorization", "refund", "settlement.debit", "new"),
    transaction: fc.constantFrom("t1", "t2"),
    at: maybe(time),
    booked: maybe(time),
    signedAtMs,
    status: fc.constantFrom("PENDING", "APPROVED", "DECLINED", "REVERSED"),
    description: maybe(
      fc.constantFrom("Forbid MCC from account", "1107 - Invalid CVV2", "odd"),
    ),
    mcc: maybe(fc.constantFrom("5999", "0742")),
    amount: maybe(amount),
    balance: maybe(amount),
  })
  .map(
    ({
      card,
      kind,
      transaction,
      at,
      booked,
      status,
      description,
      mcc,
      amount,
      balance,
      ...draft
    }): Draft => ({
      ...draft,
      write: (run, event_id) =>
        anAuthorization(
          {
            card_id: card && `${run} ${card}`,
            transaction_id: `${run} ${transaction}`,
            transaction_status: status,
            transaction_time: at,
            posted_time: booked,
            transaction_amount: amount,
            description,
            card_available_balance: balance,
            merchant_data: mcc && [{ category_code: mcc }],
          },
          {
            event_id,
            event_type: `issuing.transaction.${card ? kind : "new"}`,
          },
        ),
    }),
  );

const anyDraft = fc.oneof(
  statusUpdate,
  cardUpdate,
  recharge,
  orderFailure,
  cardholderEvent,
  pinBlock,
  transaction,
);

/**
 * A history, the order in which it is received, and how two workers share it: each has events of its own, so that
 * they work on one card at the same moment, and then repeats what either of them may have done.
 */
const scenario = fc
  .array(anyDraft, { minLength: 4, maxLength: 14 })
  .chain((history) => {
    const indexes = history.map((_, index) => index);
    const everything = fc.shuffledSubarray(indexes, {
      minLength: history.length,
    });
    return fc.record({
      history: fc.constant(history),
      received: everything,
      folded: everything,
      worked: everything,
      batchSize: fc.integer({ min: 1, max: 4 }),
      repeated: fc.array(fc.constantFrom(...indexes), { maxLength: 8 }),
    });
  });

/** Two lists of batches: every second thing for each. */
function share<Thing>(
  worked: readonly Thing[],
  batchSize: number,
  repeated: readonly Thing[],
): readonly (readonly Thing[])[][] {
  return [0, 1].map((worker) => {
    const own = worked.filter((_, place) => place % 2 === worker);
    const batches: (readonly Thing[])[] = [];
    for (let at = 0; at < own.length; at += batchSize)
      batches.push(own.slice(at, at + batchSize));
    return repeated.length === 0 ? batches : [...batches, repeated];
  });
}

/** Signed this long before it comes, a copy is stale. */
const TOLERANCE_SECONDS = 2;
const DELIVERED_AT_MS = SIGNED_FROM_MS + 3_000;

/** A history of which each event has some copies, in any order, which two instances receive side by side. */
const copiesScenario = fc
  .array(
    fc.record({
      draft: anyDraft,
      copies: fc.array(signedAtMs, { minLength: 1, maxLength: 4 }),
    }),
    { minLength: 4, maxLength: 10 },
  )
  .chain((history) => {
    const copies = history.flatMap(({ copies }, index) =>
      copies.map((atMs) => ({ index, atMs })),
    );
    return fc.record({
      history: fc.constant(history),
      delivered: fc.shuffledSubarray(copies, { minLength: copies.length }),
      batchSize: fc.integer({ min: 1, max: 4 }),
    });
  });

describe("the projection in the database", () => {
  let database: TestDatabase;
  let db: Database;
  let run = 0;

  beforeAll(async () => {
    database = await createTestDatabase();
    ({ db } = openStore(database.url));
  });

  afterAll(async () => {
    await db.destroy();
    await database.drop();
  });

  test("is the same for every order, repetition and division of the work, also over two workers at once", async () => {
    await fc.assert(
      fc.asyncProperty(
        scenario,
        async ({ history, received, folded, worked, batchSize, repeated }) => {
          const name = `run ${++run}`;
          const events = history.map((draft, index) => ({
            signedAt: instantFromEpochMs(draft.signedAtMs),
            // Not in the order of the history, and beyond the first plane, where orders of text differ.
            payload: draft.write(
              name,
              `${name} ${["💳", "\uff5e", "b", "a"][index % 4] ?? ""}${index}`,
            ),
          }));
          await recordEvents(
            db,
            received.map((index) => entryOf(events[index])),
          );
          const apply = async (indexes: readonly number[]) => {
            const ids = indexes.map(
              (index) => events[index]?.payload.event_id ?? "",
            );
            const { failed } = await reconcileEvents(ids, reconcileOptions(db));
            expect(failed).toEqual([]);
          };

          await Promise.all(
            share(worked, batchSize, repeated).map(async (batches) => {
              for (const batch of batches) await apply(batch);
            }),
          );
          await apply(received);

          const expected = await rowsOf(
            name,
            folded.map((index) => events[index]),
          );
          expect(await storedRows(name)).toEqual(expected);
        },
      ),
      {
        numRuns: RUNS,
        interruptAfterTimeLimit: 20_000,
        verbose: fc.VerbosityLevel.Verbose,
      },
    );

    expect(await deadlocks()).toBe("0");
  }, 60_000);

  test("is that of the earliest copies, whichever come first, some of them stale, while two workers apply them", async () => {
    await fc.assert(
      fc.asyncProperty(
        copiesScenario,
        async ({ history, delivered, batchSize }) => {
          const name = `run ${++run}`;
          const events = history.map(({ draft, copies }, index) => ({
            signedAt: instantFromEpochMs(Math.min(...copies)),
            payload: draft.write(
              name,
              `${name} ${["💳", "\uff5e", "b", "a"][index % 4] ?? ""}${index}`,
            ),
          }));

          await receiveAndApply(
            share(delivered, batchSize, []).map((batches) =>
              batches.map((batch) =>
                batch.map(({ index, atMs }) => ({
                  payload: payloadOf(events[index]),
                  atMs,
                })),
              ),
            ),
          );
          await replayAllQuarantined();

          expect(await signedTimes(name)).toEqual(
            new Map(
              events.map(({ payload, signedAt }) => [
                payload.event_id,
                signedAt,
              ]),
            ),
          );
          expect(await storedRows(name)).toEqual(await rowsOf(name, events));
        },
      ),
      {
        numRuns: RUNS,
        interruptAfterTimeLimit: 40_000,
        verbose: fc.VerbosityLevel.Verbose,
      },
    );

    expect(await deadlocks()).toBe("0");
  }, 90_000);

  interface Delivered {
    readonly payload: Payload;
    readonly atMs: number;
  }

  /** Each list of batches by an instance of its own, with a worker that does what it is hinted at. */
  async function receiveAndApply(
    instances: readonly (readonly (readonly Delivered[])[])[],
  ): Promise<void> {
    const hinted: string[] = [];
    const apply = async () => {
      while (hinted.length > 0) {
        const ids = hinted.splice(0);
        const { failed } = await reconcileEvents(ids, reconcileOptions(db));
        expect(failed).toEqual([]);
        await applyEarlierCopies(db, ids);
      }
    };
    await Promise.all(
      instances.map(async (batches) => {
        const receiver = createWebhookReceiver({
          ...receiverOptions(db),
          rules: { secrets: [SECRET], toleranceSeconds: TOLERANCE_SECONDS },
          nowMs: () => DELIVERED_AT_MS,
          placeHints: (news) => {
            hinted.push(...news.map(({ eventId }) => eventId));
          },
        });
        for (const batch of batches)
          await Promise.all([
            ...batch.map(({ payload, atMs }) => {
              const rawBody = bytesOf(payload);
              const timestamp = String(atMs);
              const signature = sign(rawBody, timestamp, SECRET);
              return receiver.receive({ rawBody, timestamp, signature });
            }),
            apply(),
          ]);
        await receiver.drain();
        await apply();
      }),
    );
    // What a worker had in hand when its hint came.
    await applyStalledCopies(db, 0, new AbortController().signal);
  }

  async function replayAllQuarantined(): Promise<void> {
    const rows = await db
      .selectFrom("quarantined_events")
      .select("id")
      .where("resolved_at", "is", null)
      .execute();
    for (const { id } of rows) await replayQuarantined(db, id, false);
  }

  async function signedTimes(
    name: string,
  ): Promise<ReadonlyMap<string, Instant>> {
    const rows = await db
      .selectFrom("webhook_events")
      .select(["event_id", "signed_at"])
      .where("event_id", "like", `${name} %`)
      .execute();
    return new Map(rows.map((row) => [row.event_id, row.signed_at]));
  }

  async function deadlocks(): Promise<unknown> {
    const reader = openReader(database.url);
    const [row] = await reader.rows(
      "select deadlocks from pg_stat_database where datname = current_database()",
    );
    await reader.close();
    return row?.["deadlocks"];
  }

  function payloadOf(event: Recorded | undefined): Payload {
    if (event === undefined) throw new Error("no such event");
    return event.payload;
  }

  interface Recorded {
    readonly signedAt: Instant;
    readonly payload: Payload;
  }

  function entryOf(event: Recorded | undefined) {
    if (event === undefined) throw new Error("no such event");
    const { payload, signedAt } = event;
    return inboxEntryOf(payload, signedAt);
  }

  /** The rows that the pure rules give. Only the database's own `received_at` is taken from it. */
  async function rowsOf(
    name: string,
    recorded: readonly (Recorded | undefined)[],
  ) {
    const receivedAt = await receivedTimes(name);
    const events = recorded.map((one) => {
      if (one === undefined) throw new Error("no such event");
      const { payload, signedAt } = one;
      return decode(JSON.stringify(payload), {
        signedAt,
        receivedAt: receivedAt.get(payload.event_id) ?? signedAt,
      });
    });
    return Object.fromEntries(
      PROJECTIONS.map((projection) => {
        const statements = statementsIn(projection, events);
        const known = fold(projection, new Map(), statements);
        const rows = [...known].map(
          ([id, one]) => [id, toRow(projection, one)] as const,
        );
        return [projection.table, Object.fromEntries(rows)];
      }),
    );
  }

  function decode(
    text: string,
    times: { signedAt: Instant; receivedAt: Instant },
  ): CardEvent {
    const decoded = decodeKeptEvent(text, times);
    if (decoded.kind !== "known") throw new Error(JSON.stringify(decoded));
    return decoded.event;
  }

  async function receivedTimes(
    name: string,
  ): Promise<ReadonlyMap<string, Instant>> {
    const rows = await db
      .selectFrom("webhook_events")
      .select(["event_id", "received_at"])
      .where("event_id", "like", `${name} %`)
      .execute();
    return new Map(rows.map((row) => [row.event_id, row.received_at]));
  }

  /**
   * What is stored. Without `updated_at`, which says when a row was last written and so depends on how the work
   * was divided.
   */
  async function storedRows(name: string) {
    const tables = await Promise.all(
      PROJECTIONS.map(async (projection) => {
        const [key = ""] = keyColumns(projection);
        const { rows } = await sql<Row>`
          select * from ${sql.table(projection.table)}
          where ${sql.ref(key)} like ${`${name} %`}
        `.execute(db);
        const byId = rows.map(({ updated_at: _, ...row }) => [
          idOf(keyOfRow(projection, row)),
          row,
        ]);
        return [projection.table, Object.fromEntries(byId) as unknown];
      }),
    );
    return Object.fromEntries(tables) as unknown;
  }
});
