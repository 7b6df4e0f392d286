import { sql } from "kysely";
import { textArray } from "./array-parameter.ts";
import { compileOnce } from "./compile-once.ts";
import type { TransactionExecutor } from "./database.ts";

/**
 * Holds these cards and transactions for one writer until the transaction ends, whether their rows exist yet
 * or not: a row lock cannot hold a card that is not there, and inserting a stub first would write it twice.
 * Sorted by key in one statement, so that two writers never wait for each other in a circle. Counted, since a row for each
 * lock is one that PostgreSQL sends and Node.js reads.
 */
export async function lockProjection(
  trx: TransactionExecutor,
  cardIds: readonly string[],
  transactionIds: readonly string[],
): Promise<void> {
  // Joined, since what is written with `${id}` is two pieces to V8, which it puts together when it is sent.
  const names = [
    ...cardIds.map((id) => ["card ", id].join("")),
    ...transactionIds.map((id) => ["transaction ", id].join("")),
  ];
  await lock(trx, textArray(names));
}

const lock = compileOnce((db, names: Buffer) =>
  sql`
    select count(pg_advisory_xact_lock(key))
    from (select hashtextextended(name, 0) as key from unnest(${names}::text[]) as name order by key) keys
  `.compile(db),
);
