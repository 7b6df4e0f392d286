import { describe, expect, test } from "@jest/globals";
import type { CompiledQuery } from "kysely";
import { sql } from "kysely";
import { compileOnce } from "../../../src/store/compile-once.ts";
import type { Executor } from "../../../src/store/database.ts";

/** Keeps what it is given to execute. */
function openLedger() {
  const executed: CompiledQuery[] = [];
  const executor: Executor = {
    executeQuery: (query) => {
      executed.push(query as CompiledQuery);
      return Promise.resolve({ rows: [] });
    },
  };
  return { executor, executed };
}

describe("a statement that is compiled once", () => {
  test("has the same text for all calls, and the parameters of each", async () => {
    const { executor, executed } = openLedger();
    let builds = 0;
    const find = compileOnce((db, ids: readonly string[], most: number) => {
      builds++;
      return db
        .selectFrom("cards")
        .select("card_id")
        .where("card_status", "=", "ACTIVE")
        .where("card_id", "=", sql<string>`any(${ids}::text[])`)
        .limit(sql.lit(5))
        .offset(sql<number>`${most}`)
        .compile();
    });

    await find(executor, ["a", "b"], 1);
    await find(executor, [], 2);

    expect(builds).toBe(1);
    expect(executed.map(({ parameters }) => parameters)).toEqual([
      ["ACTIVE", ["a", "b"], 1],
      ["ACTIVE", [], 2],
    ]);
    expect(executed[1]?.sql).toBe(executed[0]?.sql);
    expect(executed[0]?.sql).toBe(
      'select "card_id" from "cards" where "card_status" = $1 and "card_id" = any($2::text[]) limit 5 offset $3',
    );
  });

  test("takes as many parameters as it is told where they are a list", async () => {
    const { executor, executed } = openLedger();
    const add = compileOnce(
      (db, ...numbers: readonly number[]) =>
        sql`select ${sql.join(numbers)}`.compile(db),
      3,
    );

    await add(executor, 7, 8, 7);

    expect(executed[0]).toMatchObject({
      sql: "select $1, $2, $3",
      parameters: [7, 8, 7],
    });
  });
});
