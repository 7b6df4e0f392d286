import { CompiledQuery } from "kysely";
import type { Database, TransactionExecutor } from "./database.ts";

/**
 * The commit does not wait for the disk. A crash of PostgreSQL may take the last fraction of a second of these
 * transactions, each as a whole: the inbox then says that its events wait, and they are applied again.
 */
const BEGIN = CompiledQuery.raw("begin; set local synchronous_commit = off");
const COMMIT = CompiledQuery.raw("commit");
const ROLLBACK = CompiledQuery.raw("rollback");

/**
 * A transaction for work that is found again when it is lost. Its statements do not wait for each other's answers: those
 * that are begun in one turn go to PostgreSQL together, which works on them in that order. Kysely's own sends each after
 * the answer to the one before.
 *
 * @param db on a pool of `createPool`, which pipelines
 * @throws what the first statement that failed threw, also where `work` went on without it; else what `work` threw
 */
export function inTransaction<Result>(
  db: Database,
  work: (trx: TransactionExecutor) => Promise<Result>,
): Promise<Result> {
  return db.getExecutor().provideConnection(async (connection) => {
    let isOpen = true;
    // Those behind the first only say that the transaction is aborted, and `work` may hear of them before.
    let failure: Error | undefined;
    const begun = connection.executeQuery(BEGIN);
    const trx: TransactionExecutor = {
      isTransaction: true,
      executeQuery: async <Row>(query: CompiledQuery<Row>) => {
        // Work that goes on beside what failed must not write behind the rollback: that would be committed at once.
        if (!isOpen) throw new Error("the transaction has ended");
        const answer = connection.executeQuery<Row>(query);
        try {
          // Nor must it go on where no transaction has begun.
          return (await Promise.all([answer, begun]))[0];
        } catch (error) {
          failure ??= error as Error;
          throw error;
        }
      },
    };
    try {
      const [result] = await Promise.all([work(trx), begun]);
      isOpen = false;
      // PostgreSQL would answer the commit of an aborted transaction with a rollback, and not with an error.
      if (failure !== undefined) throw failure;
      // Alone: behind the others it would also come when one of them could not be sent.
      await connection.executeQuery(COMMIT);
      return result;
    } catch (error) {
      isOpen = false;
      // Where that fails, too, the connection is gone, and the transaction with it.
      await connection.executeQuery(ROLLBACK).catch(() => undefined);
      throw failure ?? error;
    }
  });
}
