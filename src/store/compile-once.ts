import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from "kysely";
import type { CompiledQuery, QueryResult } from "kysely";
import type { Database, Executor, Tables } from "./database.ts";

/** Runs the statement with these parameters. */
export type Statement<Parameters extends readonly unknown[], Row> = (
  executor: Executor,
  ...parameters: Parameters
) => Promise<QueryResult<Row>>;

/**
 * A statement whose text never changes, only its parameters: Kysely writes it once. To write those of a transaction
 * anew each time took Node.js more than a millisecond.
 *
 * @param build is called once, with stand-ins in place of the parameters: it may only hand them on as values
 * @param count how many parameters there are, where `build` takes them as a list
 */
export function compileOnce<Parameters extends readonly unknown[], Row>(
  build: (db: Database, ...parameters: Parameters) => CompiledQuery<Row>,
  count = build.length - 1,
): Statement<Parameters, Row> {
  const standIns = Array.from({ length: count }, () => ({}));
  const compile = () => {
    const query = build(withoutConnection, ...(standIns as never));
    const places = query.parameters.map((value) => ({
      value,
      at: standIns.indexOf(value as object),
    }));
    return { query, places };
  };
  let compiled: ReturnType<typeof compile> | undefined;
  return async (executor, ...parameters) => {
    const { query, places } = (compiled ??= compile());
    return executor.executeQuery<Row>({
      ...query,
      parameters: places.map(({ value, at }) =>
        at === -1 ? value : parameters[at],
      ),
    });
  };
}

/** Writes statements and cannot run them. */
const withoutConnection: Database = new Kysely<Tables>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});
