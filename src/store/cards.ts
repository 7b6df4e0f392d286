import { sql } from "kysely";
import type {
  Card,
  CardRegisterFields,
  RiskControl,
  SpendingControl,
} from "../domain/card.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Registers } from "../domain/registers.ts";
import { textArray } from "./array-parameter.ts";
import type { WrittenCard } from "./card-columns.ts";
import {
  CARD_CLOCKS,
  CARD_COLUMNS,
  USE_COLUMNS,
  USE_REGISTERS,
} from "./card-columns.ts";
import { compileOnce } from "./compile-once.ts";
import type { CardsTable, Executor, TransactionExecutor } from "./database.ts";
import { rowOf, updateOf, upsertOf } from "./write-rows.ts";

/** The cards that are known, without what nobody can read of them: see `readIfPossible`. */
export async function findCards(
  executor: Executor,
  cardIds: readonly string[],
): Promise<Card[]> {
  if (cardIds.length === 0) return [];
  const { rows } = await find(executor, textArray(cardIds));
  return rows.map(toCard);
}

/**
 * The cards that are known; call it under `lockProjection` to write them back. Of the values of their registers it reads
 * only the clocks: all that it takes to tell what an event changes. `saveCards` leaves what was not read as it is.
 *
 * @throws UnreadableClocksError
 */
export async function findCardClocks(
  executor: Executor,
  cardIds: readonly string[],
): Promise<Card[]> {
  if (cardIds.length === 0) return [];
  const { rows } = await findClocks(executor, textArray(cardIds));
  return rows.map(toClockedCard);
}

/** A card as its row has it, and as it shall be. */
export interface CardChange {
  /** Undefined where there is no row, or none that can be built on: then all of it is written. */
  readonly before: Card | undefined;
  readonly after: Card;
}

/** Of a card that is known only what has changed is written. */
export async function saveCards(
  trx: TransactionExecutor,
  changes: readonly CardChange[],
): Promise<unknown> {
  const whole: WrittenCard[] = [];
  const parts: WrittenCard[] = [];
  const uses: WrittenCard[] = [];
  for (const { before, after } of changes)
    if (before === undefined) whole.push(wholeOf(after));
    else {
      const part = partOf(before, after);
      (isOfUseOnly(before, part) ? uses : parts).push(part);
    }
  return Promise.all([
    upsert(trx, whole),
    update(trx, parts),
    updateUse(trx, uses),
  ]);
}

function wholeOf(card: Card): WrittenCard {
  const { registers } = card;
  for (const register of Object.values(registers))
    if ((register.value as unknown) === UNREAD)
      throw new Error(
        "a card of which only the clocks were read is no new one",
      );
  return { card, registers };
}

function partOf(before: Card, after: Card): WrittenCard {
  const changed: { -readonly [Field in keyof CardRegisterFields]?: unknown } =
    {};
  for (const name of Object.keys(after.registers)) {
    const field = name as keyof CardRegisterFields;
    const register = after.registers[field];
    if (register !== before.registers[field]) changed[field] = register;
  }
  return {
    card: after,
    registers: changed as Registers<CardRegisterFields>,
  };
}

/** Whether nothing has changed but what the columns of use tell. */
function isOfUseOnly(before: Card, { card, registers }: WrittenCard): boolean {
  if (before.cancelRequestedAt !== card.cancelRequestedAt) return false;
  return Object.keys(registers).every((field) => USE_REGISTERS.has(field));
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

const CLOCK_COLUMNS = [
  "card_id",
  "cancel_requested_at",
  "first_seen_at",
  "field_clocks",
] as const satisfies readonly (keyof CardsTable)[];

const find = findBy(STATED_COLUMNS);
const findClocks = findBy(CLOCK_COLUMNS);

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
const update = updateOf("cards", "card_id", CARD_COLUMNS);
const updateUse = updateOf("cards", "card_id", USE_COLUMNS);

export function toRow(card: Card): CardsTable {
  return rowOf(CARD_COLUMNS, { card, registers: card.registers });
}

function toCard(row: Stated): Card {
  return {
    cardId: row.card_id,
    firstSeenAt: row.first_seen_at,
    cancelRequestedAt: row.cancel_requested_at ?? undefined,
    registers: CARD_CLOCKS.readIfPossible(row.field_clocks, {
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
const UNREAD = Symbol("unread");

function toClockedCard(
  row: Pick<CardsTable, (typeof CLOCK_COLUMNS)[number]>,
): Card {
  return {
    cardId: row.card_id,
    firstSeenAt: row.first_seen_at,
    cancelRequestedAt: row.cancel_requested_at ?? undefined,
    registers: CARD_CLOCKS.readClocks(row.field_clocks, UNREAD as never),
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
