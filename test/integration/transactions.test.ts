import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { reconcileEvents } from "../../src/apply-events.ts";
import { explainCard } from "../../src/operate/explain.ts";
import {
  rebuildProjections,
  verifyProjections,
} from "../../src/operate/recompute.ts";
import type { ColumnChange } from "../../src/operate/row-changes.ts";
import { recordEvents } from "../../src/store/inbox.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { anAuthorization } from "../support/deliveries.ts";
import type { Payload } from "../support/fixtures.ts";
import type { Reader } from "../support/service.ts";
import { openReader } from "../support/service.ts";
import type { TestStore } from "../support/store.ts";
import { inboxEntryOf, openStore, reconcileOptions } from "../support/store.ts";

let database: TestDatabase;
let store: TestStore;
let reader: Reader;

beforeAll(async () => {
  database = await createTestDatabase();
  store = openStore(database.url, { isWorkerSession: true });
  reader = openReader(database.url);
});

afterAll(async () => {
  await reader.close();
  await store.close();
  await database.drop();
});

async function tell(...events: readonly Payload[]): Promise<void> {
  for (const event of events) {
    await recordEvents(store.db, [inboxEntryOf(event)]);
    const { failed } = await reconcileEvents(
      [event.event_id],
      reconcileOptions(store.db),
    );
    expect(failed).toEqual([]);
  }
}

/** A transaction of this kind that names another one. */
function following(
  kind: string,
  original_transaction_id: string,
  billing_amount: string,
  data: Record<string, unknown> = {},
): Payload {
  return anAuthorization(
    {
      card_id: "card-1",
      original_transaction_id,
      billing_amount,
      billing_currency: "USD",
      ...data,
    },
    { event_type: `issuing.transaction.${kind}` },
  );
}

function authorized(transaction_id: string, data = {}): Payload {
  return anAuthorization({
    card_id: "card-1",
    transaction_id,
    billing_amount: "100",
    billing_currency: "USD",
    ...data,
  });
}

async function sumsOf(transactionId: string) {
  const [row] = await reader.rows(
    `select settled_amount::text as settled, settlement_credited_amount::text as credited,
       settlement_reversed_amount::text as undone, reversed_amount::text as reversed, refunded_amount::text as refunded
     from authorizations where transaction_id = $1`,
    [transactionId],
  );
  return row;
}

const NOTHING = {
  settled: null,
  credited: null,
  undone: null,
  reversed: null,
  refunded: null,
};

describe("what became of an authorization", () => {
  test("is summed by kind, also what came before the authorization", async () => {
    await tell(
      following("refund", "a-1", "5.25"),
      following("settlement.debit", "a-1", "60"),
      authorized("a-1"),
      following("settlement.debit", "a-1", "40.000000000000000001"),
      following("settlement.credit", "a-1", "3"),
      following("settlement.reversal", "a-1", "-2"),
      following("reversal", "a-1", "1e1"),
      following("chargeback.credit", "a-1", "7"),
      following("something.new", "a-1", "7"),
      following("refund", "another", "7"),
    );

    expect(await sumsOf("a-1")).toEqual({
      settled: "100.000000000000000001",
      credited: "3",
      undone: "-2",
      reversed: "10",
      refunded: "5.25",
    });
  });

  test("is not known where nothing is, and does not count what was not approved or is in another currency", async () => {
    await tell(
      authorized("a-2"),
      following("refund", "a-2", "5", { transaction_status: "DECLINED" }),
      following("refund", "a-2", "5", { transaction_status: "PENDING" }),
      following("refund", "a-2", "5", { billing_currency: "SGD" }),
      following("reversal", "a-2", "5", { billing_amount: "" }),
    );

    expect(await sumsOf("a-2")).toEqual(NOTHING);
  });

  test("counts once, however often it is told, and as its outcome", async () => {
    const id = { transaction_id: "r-3" };
    const approved = following("refund", "a-3", "5", id);
    await tell(
      authorized("a-3"),
      approved,
      { ...approved, event_id: "again" },
      following("refund", "a-3", "4", { ...id, transaction_status: "PENDING" }),
    );

    expect(await sumsOf("a-3")).toMatchObject({ refunded: "5" });
  });

  test("is no authorization itself, also under the same id", async () => {
    await tell(
      following("reversal", "a-4", "100", { transaction_id: "a-4" }),
      authorized("a-4"),
    );

    const kinds = await reader.rows(
      "select kind from transactions where transaction_id = 'a-4' order by kind",
    );
    expect(kinds).toEqual([{ kind: "authorization" }, { kind: "reversal" }]);
    expect(await sumsOf("a-4")).toEqual({ ...NOTHING, reversed: "100" });
  });
});

test("a decline of another kind than an authorization is no MCC decline", async () => {
  const words = {
    card_id: "card-2",
    transaction_status: "DECLINED",
    description: "Forbid MCC from account",
  };
  await tell(
    following("refund", "a-5", "1", { ...words, transaction_id: "d-1" }),
    authorized("d-2", words),
  );

  expect(
    await reader.rows(
      "select transaction_id from mcc_declines where card_id = 'card-2'",
    ),
  ).toEqual([{ transaction_id: "d-2" }]);
});

test("fees are transactions; one that the account pays is about no card, and is verified and rebuilt all the same", async () => {
  const fee = { transaction_status: "APPROVED", transaction_amount: 1 };
  const [ofCard, ofAccount] = [
    anAuthorization(
      { ...fee, card_id: "card-4", transaction_id: undefined },
      { event_type: "issuing.fee.card", source_id: "f-1" },
    ),
    anAuthorization(
      {
        ...fee,
        card_id: undefined,
        account_id: "account-1",
        transaction_id: "f-2",
        card_count: 3,
      },
      {
        event_type:
          "card.risk_control.network_protection.maintenance_fee.charged",
      },
    ),
  ];
  await tell(ofCard, ofAccount);
  const readFees = () =>
    reader.rows(
      "select transaction_id, kind, card_id, account_id from transactions where kind like '%fee' order by 1",
    );
  const right = await readFees();

  await reader.rows("delete from transactions where transaction_id = 'f-2'");
  const found = await changesOf(verifyProjections(store.db));
  await changesOf(rebuildProjections(store.db));

  expect(right).toEqual([
    { transaction_id: "f-1", kind: "fee", card_id: "card-4", account_id: null },
    {
      transaction_id: "f-2",
      kind: "network_protection_fee",
      card_id: null,
      account_id: "account-1",
    },
  ]);
  expect(new Set(found.map(({ id }) => id))).toEqual(
    new Set([JSON.stringify(["f-2", "network_protection_fee"])]),
  );
  expect(await readFees()).toEqual(right);
  expect(await changesOf(verifyProjections(store.db))).toEqual([]);
});

async function changesOf(
  parts: ReturnType<typeof verifyProjections>,
): Promise<ColumnChange[]> {
  const changes: ColumnChange[] = [];
  for await (const part of parts) changes.push(...part.changes);
  return changes;
}

test("the rows of every kind are what verify expects, and explain tells of them", async () => {
  const card_id = "card-3";
  await tell(
    authorized("a-6", { card_id, card_available_balance: "100" }),
    following("refund", "a-6", "5", {
      card_id,
      transaction_id: "r-6",
      transaction_time: "2026-04-12T16:00:00+08:00",
      posted_time: "2026-04-12T17:00:00+08:00",
      card_available_balance: "105",
    }),
    following("some.new.word", "a-6", "5", {
      card_id,
      transaction_id: "n-6",
      transaction_time: "2026-04-12T16:30:00+08:00",
      card_available_balance: "101",
    }),
  );

  const changes = await changesOf(verifyProjections(store.db, card_id));
  const story = await explainCard(store.db, card_id);

  expect(changes).toEqual([]);
  expect(
    await reader.rows(
      "select available_balance::text as balance from cards where card_id = $1",
      [card_id],
    ),
  ).toEqual([{ balance: "105" }]);
  expect(story?.row).toBe("agrees");
  const told = story?.events.flatMap((event) =>
    event.changes.filter(({ column }) => column === "transaction_status"),
  );
  expect(told?.map(({ id }) => id)).toEqual(
    ["authorization", "refund", "some.new.word"].map((kind, at) =>
      JSON.stringify([["a-6", "r-6", "n-6"][at], kind]),
    ),
  );
});
