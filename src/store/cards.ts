import { sql } from "kysely";
import type {
  Card,
  CardRegisterFields,
  RiskControl,
  SpendingControl,
} from "../domain/card.ts";
import type { JsonObject } from "../domain/json.ts";
import { CARD_COLUMNS, USE_COLUMNS, USE_REGISTERS } from "./card-columns.ts";
import { compileOnce } from "./compile-once.ts";
import type { CardsTable, Executor, TransactionExecutor } from "./database.ts";
import { readRegisters } from "./field-clocks.ts";
import { columnsOf, rowOf, updateOf, upsertOf } from "./write-rows.ts";

/** The cards that are known; call it under `lockProjection` to write them back. */
export async function findCards(
  executor: Executor,
  cardIds: readonly string[],
): Promise<Card[]> {
  const { rows } = await find(executor, cardIds);
  return rows.map(toCard);
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
    (isOfUseOnly(change) ? used : others).push(change.after);
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

const find = compileOnce((db, cardIds: readonly string[]) =>
  db
    .selectFrom("cards")
    .select(columnsOf(CARD_COLUMNS))
    .where("card_id", "=", sql<string>`any(${cardIds}::text[])`)
    .compile(),
);

const upsert = upsertOf("cards", "card_id", CARD_COLUMNS);
const updateUse = updateOf("cards", "card_id", USE_COLUMNS);

export function toRow(card: Card): CardsTable {
  return rowOf(CARD_COLUMNS, card);
}

function toCard(row: CardsTable): Card {
  return {
    cardId: row.card_id,
    firstSeenAt: row.first_seen_at,
    cancelRequestedAt: row.cancel_requested_at ?? undefined,
    registers: readRegisters<CardRegisterFields>(row.field_clocks, {
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

function riskControlIn(row: CardsTable): RiskControl | null {
  if (row.allowed_mcc === null || row.blocked_mcc === null) return null;
  return {
    allowedMcc: row.allowed_mcc,
    blockedMcc: row.blocked_mcc,
    delivered: row.risk_control as JsonObject,
  };
}
