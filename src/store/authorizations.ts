import { sql } from "kysely";
import type {
  Authorization,
  AuthorizationRegisterFields,
} from "../domain/authorization.ts";
import type { Instant } from "../domain/instant.ts";
import { judgeDecline } from "../domain/mcc-decline.ts";
import { compileOnce } from "./compile-once.ts";
import type {
  AuthorizationsTable,
  Database,
  Executor,
  Transaction,
  TransactionExecutor,
} from "./database.ts";
import { readRegisters, writeFieldClocks } from "./field-clocks.ts";
import type { Column, Columns } from "./write-rows.ts";
import { columnsOf, rowOf, upsertOf } from "./write-rows.ts";

/** The authorizations that are known; call it under `lockProjection` to write them back. */
export async function findAuthorizations(
  executor: Executor,
  transactionIds: readonly string[],
): Promise<Authorization[]> {
  const { rows } = await find(executor, transactionIds);
  return rows.map(toAuthorization);
}

export async function saveAuthorizations(
  trx: TransactionExecutor,
  authorizations: readonly Authorization[],
): Promise<unknown> {
  return upsert(trx, authorizations);
}

/** The row of an authorization: its registers' values, and the judgement of its outcome. */
const AUTHORIZATION_COLUMNS: Columns<Authorization, AuthorizationsTable> = {
  transaction_id: { type: "text", read: (one) => one.transactionId },
  event_id: {
    type: "text",
    read: ({ registers }) => known(registers.lastEvent).clock.eventId,
  },
  card_id: {
    type: "text",
    read: ({ registers }) => known(registers.cardId).value,
  },
  cardholder_id: text("cardholderId"),
  transaction_type: text("transactionType"),
  transaction_status: {
    type: "text",
    read: ({ registers }) => known(registers.transactionStatus).value,
  },
  description: text("description"),
  transaction_amount: numeric("transactionAmount"),
  transaction_currency: text("transactionCurrency"),
  billing_amount: numeric("billingAmount"),
  billing_currency: text("billingCurrency"),
  transaction_fee: numeric("transactionFee"),
  transaction_fee_currency: text("transactionFeeCurrency"),
  authorization_code: text("authorizationCode"),
  original_transaction_id: text("originalTransactionId"),
  wallet_type: text("walletType"),
  mcc: text("mcc"),
  merchant_name: text("merchantName"),
  merchant_city: text("merchantCity"),
  merchant_country: text("merchantCountry"),
  transaction_time: time("transactionTime"),
  posted_time: time("postedTime"),
  decline_category: {
    type: "text",
    read: (one) => judge(one).category ?? null,
  },
  mcc_declined: { type: "boolean", read: (one) => judge(one).mccDeclined },
  received_at: { type: "timestamptz", read: (one) => one.receivedAt },
  field_clocks: {
    type: "jsonb",
    read: ({ registers }) => writeFieldClocks(registers),
  },
};

type TimeField = "transactionTime" | "postedTime";
type TextField = Exclude<keyof AuthorizationRegisterFields, TimeField>;

function text(field: TextField): Column<Authorization, string | null> {
  return {
    type: "text",
    read: ({ registers }) => registers[field]?.value ?? null,
  };
}

function numeric(field: TextField): Column<Authorization, string | null> {
  return { ...text(field), type: "numeric" };
}

function time(field: TimeField): Column<Authorization, Instant | null> {
  return {
    type: "timestamptz",
    read: ({ registers }) => registers[field]?.value ?? null,
  };
}

/** What every authorization event states. */
function known<Value>(register: Value | undefined): Value {
  if (register === undefined)
    throw new Error("an authorization without an event");
  return register;
}

function judge({
  registers: { transactionStatus, description },
}: Authorization) {
  return judgeDecline(known(transactionStatus).value, description?.value);
}

const find = compileOnce((db, transactionIds: readonly string[]) =>
  db
    .selectFrom("authorizations")
    .select(columnsOf(AUTHORIZATION_COLUMNS))
    .where("transaction_id", "=", sql<string>`any(${transactionIds}::text[])`)
    .compile(),
);

const upsert = upsertOf(
  "authorizations",
  "transaction_id",
  AUTHORIZATION_COLUMNS,
);

export function toRow(authorization: Authorization): AuthorizationsTable {
  return rowOf(AUTHORIZATION_COLUMNS, authorization);
}

function toAuthorization(row: AuthorizationsTable): Authorization {
  return {
    transactionId: row.transaction_id,
    receivedAt: row.received_at,
    registers: readRegisters<AuthorizationRegisterFields & { lastEvent: true }>(
      row.field_clocks,
      {
        cardId: row.card_id,
        cardholderId: row.cardholder_id,
        transactionType: row.transaction_type,
        transactionStatus: row.transaction_status,
        description: row.description,
        transactionAmount: row.transaction_amount,
        transactionCurrency: row.transaction_currency,
        billingAmount: row.billing_amount,
        billingCurrency: row.billing_currency,
        transactionFee: row.transaction_fee,
        transactionFeeCurrency: row.transaction_fee_currency,
        authorizationCode: row.authorization_code,
        originalTransactionId: row.original_transaction_id,
        walletType: row.wallet_type,
        mcc: row.mcc,
        merchantName: row.merchant_name,
        merchantCity: row.merchant_city,
        merchantCountry: row.merchant_country,
        transactionTime: row.transaction_time,
        postedTime: row.posted_time,
        lastEvent: true,
      },
    ),
  };
}

/** The transactions that the table lists under these cards. */
export async function findTransactionIdsOfCards(
  db: Database | Transaction,
  cardIds: readonly string[],
): Promise<string[]> {
  const rows = await db
    .selectFrom("authorizations")
    .select("transaction_id")
    .where("card_id", "=", sql<string>`any(${cardIds}::text[])`)
    .execute();
  return rows.map((row) => row.transaction_id);
}
