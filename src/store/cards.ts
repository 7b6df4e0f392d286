import { sql } from "kysely";
import type {
  Card,
  CardRegisterFields,
  RiskControl,
  SpendingControl,
} from "../domain/card.ts";
import type { JsonObject } from "../domain/json.ts";
import { textArray } from "./array-parameter.ts";
import {
  CARD_CLOCKS,
  CARD_COLUMNS,
  USE_COLUMNS,
  USE_REGISTERS,
} from "./card-columns.ts";
import { compileOnce } from "./compile-once.ts";
import type { CardsTable, Executor, TransactionExecutor } from "./database.ts";
import { rowOf, updateOf, upsertOf } from "./write-rows.ts";

/** The cards that are known; call it under `lockProjection` to write them back. */
export async function findCards(
  executor: Executor,
  cardIds: readonly string[],
): Promise<Card[]> {
  if (cardIds.length === 0) return [];
  const { rows } = await find(executor, textArray(cardIds));
  return rows.map(toCard);
}

/**
 * As `findCards`, for those of which only the use is told, as authorizations do: of all else the clocks are read, and not
 * the values. `saveCards` refuses to write what was not read.
 */
export async function findUsedCards(
  executor: Executor,
  cardIds: readonly string[],
): Promise<Card[]> {
  if (cardIds.length === 0) return [];
  const { rows } = await findUsed(executor, textArray(cardIds));
  return rows.map(toUsedCard);
}

/** A card as its row has it, and as it shall be. */
export interface CardChange {
  /** Undefined where there is no row, or none that can be built on: then all of it is written. */
  readonly before: Card | undefined;
  readonly after: Card;
}

export async function saveCards(
  trx: TransactionExecutor,
  changes: readonly CardChange[],
): Promise<unknown> {
  const used: Card[] = [];
  const others: Card[] = [];
  for (const change of changes)
    if (isOfUseOnly(change)) used.push(change.after);
    else others.push(whole(change.after));
  return Promise.all([upsert(trx, others), updateUse(trx, used)]);
}

/** Whether nothing has changed but what the columns of use tell. */
function isOfUseOnly({ before, after }: CardChange): boolean {
  if (before === undefined) return false;
  if (before.cancelRequestedAt !== after.cancelRequestedAt) return false;
  for (const name of Object.keys(after.registers)) {
    const field = name as keyof CardRegisterFields;
    const isSame = after.registers[field] === before.registers[field];
    if (!isSame && !USE_REGISTERS.has(field)) return false;
  }
  return true;
}

function whole(card: Card): Card {
  for (const register of Object.values(card.registers))
    if (register.value === UNREAD)
      throw new Error(
        "a card of which only the use was read has changed otherwise",
      );
  return card;
}

/** What a card is made of again. The other columns derive from these. */
const STATED_COLUMNS = [
  "card_id",
  "card_number",
  "card_bin",
  "card_scheme",
  "card_product_id",
  "cardholder_id",
  "card_currency",
  "mode_type",
  "form_factor",
  "card_status",
  "status_reason",
  "observed_status",
  "card_limit",
  "available_balance",
  "no_pin_payment_amount",
  "spending_controls",
  "allowed_mcc",
  "blocked_mcc",
  "risk_control",
  "metadata",
  "cancel_requested_at",
  "first_seen_at",
  "field_clocks",
] as const satisfies readonly (keyof CardsTable)[];

type Stated = Pick<CardsTable, (typeof STATED_COLUMNS)[number]>;

/** As above, of what the use of a card tells. */
const STATED_USE_COLUMNS = [
  "card_id",
  "card_number",
  "cardholder_id",
  "available_balance",
  "cancel_requested_at",
  "first_seen_at",
  "field_clocks",
] as const satisfies readonly (keyof CardsTable)[];

const find = findBy(STATED_COLUMNS);
const findUsed = findBy(STATED_USE_COLUMNS);

function findBy<Name extends keyof CardsTable>(columns: readonly Name[]) {
  return compileOnce((db, cardIds: Buffer) =>
    db
      .selectFrom("cards")
      .select(columns)
      .where("card_id", "=", sql<string>`any(${cardIds}::text[])`)
      .compile(),
  );
}

const upsert = upsertOf("cards", "card_id", CARD_COLUMNS);
const updateUse = updateOf("cards", "card_id", USE_COLUMNS);

export function toRow(card: Card): CardsTable {
  return rowOf(CARD_COLUMNS, card);
}

function toCard(row: Stated): Card {
  return {
    cardId: row.card_id,
    firstSeenAt: row.first_seen_at,
    cancelRequestedAt: row.cancel_requested_at ?? undefined,
    registers: CARD_CLOCKS.read(row.field_clocks, {
      cardNumber: row.card_number,
      cardBin: row.card_bin,
      cardScheme: row.card_scheme,
      cardProductId: row.card_product_id,
      cardholderId: row.cardholder_id,
      cardCurrency: row.card_currency,
      modeType: row.mode_type,
      formFactor: row.form_factor,
      cardStatus:
        row.card_status === null
          ? null
          : { status: row.card_status, reason: row.status_reason ?? undefined },
      observedStatus: row.observed_status,
      cardLimit: row.card_limit,
      availableBalance: row.available_balance,
      noPinPaymentAmount: row.no_pin_payment_amount,
      spendingControls: row.spending_controls as
        readonly SpendingControl[] | null,
      riskControl: riskControlIn(row),
      metadata: row.metadata as JsonObject | null,
      lastEvent: true,
    }),
  };
}

/** Stands for a value that was not read. */
const UNREAD: unknown = Symbol("unread");
const UNREAD_VALUES = Object.fromEntries(
  CARD_CLOCKS.fields.map((field) => [field, UNREAD]),
) as Record<keyof CardRegisterFields, never>;

function toUsedCard(
  row: Pick<CardsTable, (typeof STATED_USE_COLUMNS)[number]>,
): Card {
  return {
    cardId: row.card_id,
    firstSeenAt: row.first_seen_at,
    cancelRequestedAt: row.cancel_requested_at ?? undefined,
    registers: CARD_CLOCKS.read(row.field_clocks, {
      ...UNREAD_VALUES,
      cardNumber: row.card_number,
      cardholderId: row.cardholder_id,
      availableBalance: row.available_balance,
      lastEvent: true,
    }),
  };
}

function riskControlIn(row: Stated): RiskControl | null {
  if (row.allowed_mcc === null || row.blocked_mcc === null) return null;
  return {
    allowedMcc: row.allowed_mcc,
    blockedMcc: row.blocked_mcc,
    delivered: row.risk_control as JsonObject,
  };
}
