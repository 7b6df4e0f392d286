import { sql } from "kysely";
import { textOf } from "../domain/json.ts";
import type { Projection, Statement } from "../projections/projection.ts";
import type { Known } from "../projections/rows.ts";
import { idOf, isSharedByCards } from "../projections/rows.ts";
import type { Database, Transaction } from "./database.ts";

/**
 * Notes all cards of transactions and orders that are told of under several. A row names only those whose events still hold a
 * column of it; when a copy that was signed earlier dates one of them back, the others must be found. Call it under
 * `lockRows`.
 */
export async function saveSharedTransactions(
  trx: Transaction,
  projection: Projection,
  known: Known,
  statements: readonly Statement[],
): Promise<void> {
  if (!isSharedByCards(projection)) return;
  const shared = pairsOf(known, statements);
  if (shared.length === 0) return;
  await sql`
    insert into transaction_cards (transaction_id, card_id)
    select * from unnest(
      ${shared.map(({ transactionId }) => transactionId)}::text[],
      ${shared.map(({ cardId }) => cardId)}::text[]
    )
    on conflict (transaction_id, card_id) do nothing
  `.execute(trx);
}

interface TransactionCard {
  readonly transactionId: string;
  readonly cardId: string;
}

function pairsOf(
  known: Known,
  statements: readonly Statement[],
): TransactionCard[] {
  const firsts = new Map<string, string>();
  return statements.flatMap(({ key, registers }) => {
    const id = idOf(key);
    const cardId = registers["card_id"]?.value;
    // What names no card is found by `events-without-card.ts`.
    if (typeof cardId !== "string") return [];
    const stored = known.get(id)?.registers["card_id"]?.value;
    const first = firsts.get(id) ?? textOf(stored ?? cardId);
    firsts.set(id, first);
    const [transactionId = ""] = key;
    return first === cardId
      ? []
      : [
          { transactionId, cardId: first },
          { transactionId, cardId },
        ];
  });
}

/** The cards under which any of these transactions or orders was told of, where that are several. */
export async function findCardsOfTransactions(
  db: Database,
  transactionIds: readonly string[],
): Promise<string[]> {
  if (transactionIds.length === 0) return [];
  const { rows } = await sql<{ card_id: string }>`
    select distinct card_id
    from transaction_cards
    where transaction_id = any(${transactionIds}::text[])
  `.execute(db);
  return rows.map((row) => row.card_id);
}
