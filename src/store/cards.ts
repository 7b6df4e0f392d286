import { sql } from "kysely";
import type {
  Card,
  CardRegisterFields,
  RiskControl,
  SpendingControl,
} from "../domain/card.ts";
import { controlsUpdatedAt } from "../domain/card.ts";
import type { JsonObject } from "../domain/json.ts";
import { compileOnce } from "./compile-once.ts";
import type { CardsTable, Executor, TransactionExecutor } from "./database.ts";
import { readRegisters, writeFieldClocks } from "./field-clocks.ts";
import type { ColumnType } from "./upsert-rows.ts";
import { columnsOf, upsertOf } from "./upsert-rows.ts";

/** The cards that are known; call it under `lockProjection` to write them back. */
export async function findCards(
  executor: Executor,
  cardIds: readonly string[],
): Promise<Card[]> {
  const rows = await find(executor, cardIds);
  return rows.map(toCard);
}

export async function saveCards(
  trx: TransactionExecutor,
  cards: readonly Card[],
): Promise<unknown> {
  return upsert(trx, cards.map(toRow));
}

const CARD_COLUMNS: Readonly<Record<keyof CardsTable, ColumnType>> = {
  card_id: "text",
  card_number: "text",
  card_bin: "text",
  card_scheme: "text",
  card_product_id: "text",
  cardholder_id: "text",
  card_currency: "text",
  mode_type: "text",
  form_factor: "text",
  card_status: "text",
  status_reason: "text",
  status_changed_at: "timestamptz",
  observed_status: "text",
  observed_status_at: "timestamptz",
  card_limit: "numeric",
  available_balance: "numeric",
  balance_as_of: "timestamptz",
  per_transaction_limit: "numeric",
  spending_controls: "jsonb",
  allowed_mcc: "text[]",
  blocked_mcc: "text[]",
  risk_control: "jsonb",
  no_pin_payment_amount: "numeric",
  metadata: "jsonb",
  controls_updated_at: "timestamptz",
  cancel_requested_at: "timestamptz",
  cancelled_at: "timestamptz",
  first_seen_at: "timestamptz",
  last_event_id: "text",
  last_event_at: "timestamptz",
  field_clocks: "jsonb",
};

const find = compileOnce((db, cardIds: readonly string[]) =>
  db
    .selectFrom("cards")
    .select(columnsOf(CARD_COLUMNS))
    .where("card_id", "=", sql<string>`any(${cardIds}::text[])`)
    .compile(),
);

const upsert = upsertOf("cards", "card_id", CARD_COLUMNS);

/** The row of a card: its registers' values, and what derives from their clocks. */
export function toRow(card: Card): CardsTable {
  const { registers } = card;
  const {
    cardStatus: status,
    observedStatus,
    availableBalance,
    spendingControls,
    riskControl,
    lastEvent,
  } = registers;
  if (lastEvent === undefined) throw new Error("a card without an event");
  return {
    card_id: card.cardId,
    card_number: registers.cardNumber?.value ?? null,
    card_bin: registers.cardBin?.value ?? null,
    card_scheme: registers.cardScheme?.value ?? null,
    card_product_id: registers.cardProductId?.value ?? null,
    cardholder_id: registers.cardholderId?.value ?? null,
    card_currency: registers.cardCurrency?.value ?? null,
    mode_type: registers.modeType?.value ?? null,
    form_factor: registers.formFactor?.value ?? null,
    card_status: status?.value.status ?? null,
    status_reason: status?.value.reason ?? null,
    status_changed_at: status?.clock.at ?? null,
    observed_status: observedStatus?.value ?? null,
    observed_status_at: observedStatus?.clock.at ?? null,
    card_limit: registers.cardLimit?.value ?? null,
    available_balance: availableBalance?.value ?? null,
    balance_as_of: availableBalance?.clock.at ?? null,
    per_transaction_limit: perTransactionLimit(spendingControls?.value),
    spending_controls:
      (spendingControls?.value as
        CardsTable["spending_controls"] | undefined) ?? null,
    allowed_mcc: riskControl?.value.allowedMcc ?? null,
    blocked_mcc: riskControl?.value.blockedMcc ?? null,
    risk_control: riskControl?.value.delivered ?? null,
    no_pin_payment_amount: registers.noPinPaymentAmount?.value ?? null,
    metadata: registers.metadata?.value ?? null,
    controls_updated_at: controlsUpdatedAt(card) ?? null,
    cancel_requested_at: card.cancelRequestedAt ?? null,
    cancelled_at: status?.value.status === "CANCELLED" ? status.clock.at : null,
    first_seen_at: card.firstSeenAt,
    last_event_id: lastEvent.clock.eventId,
    last_event_at: lastEvent.clock.at,
    field_clocks: writeFieldClocks(registers),
  };
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

function perTransactionLimit(
  controls: readonly SpendingControl[] | undefined,
): string | null {
  const control = controls?.find(
    ({ interval }) => interval?.toUpperCase() === "PER_TRANSACTION",
  );
  return control?.amount ?? null;
}
