import { sql } from "kysely";
import type {
  Authorization,
  AuthorizationRegisterFields,
} from "../domain/authorization.ts";
import type { DeclineJudgement } from "../domain/mcc-decline.ts";
import { judgeDecline } from "../domain/mcc-decline.ts";
import { textArray } from "./array-parameter.ts";
import { compileOnce } from "./compile-once.ts";
import type {
  AuthorizationsTable,
  Database,
  Executor,
  TransactionExecutor,
} from "./database.ts";
import { fieldClocks } from "./field-clocks.ts";
import { registerColumns } from "./register-columns.ts";
import type { Columns } from "./write-rows.ts";
import { insertOf, rowOf, upsertOf } from "./write-rows.ts";

/**
 * The authorizations that are known; call it under `lockProjection` to write them back.
 *
 * @throws UnreadableClocksError
 */
export async function findAuthorizations(
  executor: Executor,
  transactionIds: readonly string[],
): Promise<Authorization[]> {
  return findWith(AUTHORIZATION_CLOCKS.read, executor, transactionIds);
}

/** The authorizations that are known, without what nobody can read of them: see `readIfPossible`. */
export async function findReadableAuthorizations(
  executor: Executor,
  transactionIds: readonly string[],
): Promise<Authorization[]> {
  return findWith(
    AUTHORIZATION_CLOCKS.readIfPossible,
    executor,
    transactionIds,
  );
}

async function findWith(
  read: typeof AUTHORIZATION_CLOCKS.read,
  executor: Executor,
  transactionIds: readonly string[],
): Promise<Authorization[]> {
  if (transactionIds.length === 0) return [];
  const { rows } = await find(executor, textArray(transactionIds));
  return rows.map((row) => toAuthorization(row, read));
}

/** Those that `findAuthorizations` did not find, under the same lock. */
export async function insertAuthorizations(
  trx: TransactionExecutor,
  authorizations: readonly Authorization[],
): Promise<unknown> {
  return insert(trx, authorizations.map(judged));
}

/** Whether they are known or not. */
export async function saveAuthorizations(
  trx: TransactionExecutor,
  authorizations: readonly Authorization[],
): Promise<unknown> {
  return upsert(trx, authorizations.map(judged));
}

interface Judged extends Authorization {
  readonly decline: DeclineJudgement;
}

/** Once for both columns that tell of it. */
function judged(authorization: Authorization): Judged {
  const { transactionId, registers, receivedAt } = authorization;
  const decline = judgeDecline(
    known(registers.transactionStatus).value,
    registers.description?.value,
  );
  return { transactionId, registers, receivedAt, decline };
}

type Fields = AuthorizationRegisterFields & { lastEvent: true };

const { valueOf } = registerColumns<Fields>();

export const AUTHORIZATION_CLOCKS = fieldClocks<Fields>(
  {
    cardId: true,
    cardholderId: true,
    transactionType: true,
    transactionStatus: true,
    description: true,
    transactionAmount: true,
    transactionCurrency: true,
    billingAmount: true,
    billingCurrency: true,
    transactionFee: true,
    transactionFeeCurrency: true,
    authorizationCode: true,
    originalTransactionId: true,
    walletType: true,
    mcc: true,
    merchantName: true,
    merchantCity: true,
    merchantCountry: true,
    transactionTime: true,
    postedTime: true,
    lastEvent: true,
  },
  { abbreviated: true },
);

/** The row of an authorization: its registers' values, and the judgement of its outcome. */
const AUTHORIZATION_COLUMNS: Columns<Judged, AuthorizationsTable> = {
  transaction_id: { type: "text", read: (one) => one.transactionId },
  event_id: {
    type: "text",
    read: ({ registers }) => known(registers.lastEvent).clock.eventId,
  },
  card_id: {
    type: "text",
    read: ({ registers }) => known(registers.cardId).value,
  },
  cardholder_id: valueOf("text", "cardholderId"),
  transaction_type: valueOf("text", "transactionType"),
  transaction_status: {
    type: "text",
    read: ({ registers }) => known(registers.transactionStatus).value,
  },
  description: valueOf("text", "description"),
  transaction_amount: valueOf("numeric", "transactionAmount"),
  transaction_currency: valueOf("text", "transactionCurrency"),
  billing_amount: valueOf("numeric", "billingAmount"),
  billing_currency: valueOf("text", "billingCurrency"),
  transaction_fee: valueOf("numeric", "transactionFee"),
  transaction_fee_currency: valueOf("text", "transactionFeeCurrency"),
  authorization_code: valueOf("text", "authorizationCode"),
  original_transaction_id: valueOf("text", "originalTransactionId"),
  wallet_type: valueOf("text", "walletType"),
  mcc: valueOf("text", "mcc"),
  merchant_name: valueOf("text", "merchantName"),
  merchant_city: valueOf("text", "merchantCity"),
  merchant_country: valueOf("text", "merchantCountry"),
  transaction_time: valueOf("timestamptz", "transactionTime"),
  posted_time: valueOf("timestamptz", "postedTime"),
  decline_category: { type: "text", read: (one) => one.decline.category },
  mcc_declined: { type: "boolean", read: (one) => one.decline.mccDeclined },
  received_at: { type: "timestamptz", read: (one) => one.receivedAt },
  field_clocks: {
    type: "jsonb",
    read: ({ registers }) => AUTHORIZATION_CLOCKS.write(registers),
    writeText: ({ registers }) => AUTHORIZATION_CLOCKS.writeText(registers),
  },
};

/** What every authorization event states. */
function known<Value>(register: Value | undefined): Value {
  if (register === undefined)
    throw new Error("an authorization without an event");
  return register;
}

/** What is stated of an authorization, and not judged or derived. */
const STATED_COLUMNS = [
  "transaction_id",
  "card_id",
  "cardholder_id",
  "transaction_type",
  "transaction_status",
  "description",
  "transaction_amount",
  "transaction_currency",
  "billing_amount",
  "billing_currency",
  "transaction_fee",
  "transaction_fee_currency",
  "authorization_code",
  "original_transaction_id",
  "wallet_type",
  "mcc",
  "merchant_name",
  "merchant_city",
  "merchant_country",
  "transaction_time",
  "posted_time",
  "received_at",
  "field_clocks",
] as const satisfies readonly (keyof AuthorizationsTable)[];

type Stated = Pick<AuthorizationsTable, (typeof STATED_COLUMNS)[number]>;

const find = compileOnce((db, transactionIds: Buffer) =>
  db
    .selectFrom("authorizations")
    .select(STATED_COLUMNS)
    .where("transaction_id", "=", sql<string>`any(${transactionIds}::text[])`)
    .compile(),
);

const insert = insertOf("authorizations", AUTHORIZATION_COLUMNS);
const upsert = upsertOf(
  "authorizations",
  "transaction_id",
  AUTHORIZATION_COLUMNS,
);

export function toRow(authorization: Authorization): AuthorizationsTable {
  return rowOf(AUTHORIZATION_COLUMNS, judged(authorization));
}

function toAuthorization(
  row: Stated,
  read: typeof AUTHORIZATION_CLOCKS.read,
): Authorization {
  return {
    transactionId: row.transaction_id,
    receivedAt: row.received_at,
    registers: read(row.field_clocks, {
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
    }),
  };
}

/** The transactions that the table lists under these cards. */
export async function findTransactionIdsOfCards(
  db: Database,
  cardIds: readonly string[],
): Promise<string[]> {
  const rows = await db
    .selectFrom("authorizations")
    .select("transaction_id")
    .where("card_id", "=", sql<string>`any(${cardIds}::text[])`)
    .execute();
  return rows.map((row) => row.transaction_id);
}
