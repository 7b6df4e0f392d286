import { sql } from "kysely";
import { textArray } from "./array-parameter.ts";
import { compileOnce } from "./compile-once.ts";
import type { Database, TransactionExecutor } from "./database.ts";

/** A card under whose id a transaction was told of, beside others. */
export interface TransactionCard {
  readonly transactionId: string;
  readonly cardId: string;
}

/** Keeps them; call it under `lockProjection`. */
export async function saveTransactionCards(
  trx: TransactionExecutor,
  cards: readonly TransactionCard[],
): Promise<unknown> {
  if (cards.length === 0) return undefined;
  return save(
    trx,
    textArray(cards.map(({ transactionId }) => transactionId)),
    textArray(cards.map(({ cardId }) => cardId)),
  );
}

const save = compileOnce((db, transactionIds: Buffer, cardIds: Buffer) =>
  sql`
    insert into transaction_cards (transaction_id, card_id)
    select unnest(${transactionIds}::text[]), unnest(${cardIds}::text[])
    on conflict (transaction_id, card_id) do nothing
  `.compile(db),
);

/** The cards under which any of these transactions was told of, where that are several. */
export async function findCardsOfTransactions(
  db: Database,
  transactionIds: readonly string[],
): Promise<string[]> {
  const rows = await db
    .selectFrom("transaction_cards")
    .select("card_id")
    .distinct()
    .where("transaction_id", "=", sql<string>`any(${transactionIds}::text[])`)
    .execute();
  return rows.map((row) => row.card_id);
}
