import { sql } from "kysely";
import type {
  Authorization,
  AuthorizationRegisterFields,
} from "../domain/authorization.ts";
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
import type { ColumnType } from "./upsert-rows.ts";
import { columnsOf, upsertOf } from "./upsert-rows.ts";

/** The authorizations that are known; call it under `lockProjection` to write them back. */
export async function findAuthorizations(
  executor: Executor,
  transactionIds: readonly string[],
): Promise<Authorization[]> {
  const rows = await find(executor, transactionIds);
  return rows.map(toAuthorization);
}

export async function saveAuthorizations(
  trx: TransactionExecutor,
  authorizations: readonly Authorization[],
): Promise<unknown> {
  return upsert(trx, authorizations.map(toRow));
}

const AUTHORIZATION_COLUMNS: Readonly<
  Record<keyof AuthorizationsTable, ColumnType>
> = {
  transaction_id: "text",
  event_id: "text",
  card_id: "text",
  cardholder_id: "text",
  transaction_type: "text",
  transaction_status: "text",
  description: "text",
  transaction_amount: "numeric",
  transaction_currency: "text",
  billing_amount: "numeric",
  billing_currency: "text",
  transaction_fee: "numeric",
  transaction_fee_currency: "text",
  authorization_code: "text",
  original_transaction_id: "text",
  wallet_type: "text",
  mcc: "text",
  merchant_name: "text",
  merchant_city: "text",
  merchant_country: "text",
  transaction_time: "timestamptz",
  posted_time: "timestamptz",
  decline_category: "text",
  mcc_declined: "boolean",
  received_at: "timestamptz",
  field_clocks: "jsonb",
};

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

/** The row of an authorization: its registers' values, and the judgement of its outcome. */
export function toRow(authorization: Authorization): AuthorizationsTable {
  const { registers } = authorization;
  const { lastEvent, cardId, transactionStatus, description } = registers;
  if (!lastEvent || !cardId || !transactionStatus)
    throw new Error("an authorization without an event");
  const decline = judgeDecline(transactionStatus.value, description?.value);
  return {
    transaction_id: authorization.transactionId,
    event_id: lastEvent.clock.eventId,
    card_id: cardId.value,
    cardholder_id: registers.cardholderId?.value ?? null,
    transaction_type: registers.transactionType?.value ?? null,
    transaction_status: transactionStatus.value,
    description: description?.value ?? null,
    transaction_amount: registers.transactionAmount?.value ?? null,
    transaction_currency: registers.transactionCurrency?.value ?? null,
    billing_amount: registers.billingAmount?.value ?? null,
    billing_currency: registers.billingCurrency?.value ?? null,
    transaction_fee: registers.transactionFee?.value ?? null,
    transaction_fee_currency: registers.transactionFeeCurrency?.value ?? null,
    authorization_code: registers.authorizationCode?.value ?? null,
    original_transaction_id: registers.originalTransactionId?.value ?? null,
    wallet_type: registers.walletType?.value ?? null,
    mcc: registers.mcc?.value ?? null,
    merchant_name: registers.merchantName?.value ?? null,
    merchant_city: registers.merchantCity?.value ?? null,
    merchant_country: registers.merchantCountry?.value ?? null,
    transaction_time: registers.transactionTime?.value ?? null,
    posted_time: registers.postedTime?.value ?? null,
    decline_category: decline.category ?? null,
    mcc_declined: decline.mccDeclined,
    received_at: authorization.receivedAt,
    field_clocks: writeFieldClocks(registers),
  };
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
