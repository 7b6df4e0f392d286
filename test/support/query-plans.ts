import type pg from "pg";
import { createDatabase, createPool } from "../../src/store/database.ts";
import type { Database, PoolOptions } from "../../src/store/database.ts";

/** What a node of a plan did with a table. */
export interface TableAccess {
  readonly table: string;
  /** Such as `Index Scan`. */
  readonly node: string;
  readonly index: string | undefined;
  /** Rows that were read, also those that were then thrown away. */
  readonly rowsRead: number;
}

export interface PlanWatch {
  readonly pool: pg.Pool;
  readonly db: Database;
  /** How the tables were read by the statements that `work` sent through the pool. */
  readonly accessesOf: (
    work: () => Promise<unknown>,
  ) => Promise<readonly TableAccess[]>;
}

/** A pool whose every statement tells its real plan: PostgreSQL's own auto_explain, which sends it as a notice. */
export function watchPlans(
  databaseUrl: string,
  more: Pick<PoolOptions, "isWorkerSession"> = {},
): PlanWatch {
  const url = new URL(databaseUrl);
  url.searchParams.set(
    "options",
    [
      "session_preload_libraries=auto_explain",
      "auto_explain.log_min_duration=0",
      "auto_explain.log_analyze=on",
      "auto_explain.log_timing=off",
      "auto_explain.log_format=json",
      "client_min_messages=log",
    ]
      .map((setting) => `-c ${setting}`)
      .join(" "),
  );
  const pool = createPool({
    url: url.href,
    maxConnections: 1,
    queryTimeoutMs: 60_000,
    applicationName: "query-plans.test",
    onError: () => undefined,
    ...more,
  });
  let plans: PlanNode[] = [];
  pool.on("connect", (client) => {
    client.on("notice", ({ message }) => {
      const json = /plan:\n([^]*)$/.exec(message ?? "")?.[1];
      if (json !== undefined)
        plans.push((JSON.parse(json) as { Plan: PlanNode }).Plan);
    });
  });
  return {
    pool,
    db: createDatabase(pool),
    accessesOf: async (work) => {
      plans = [];
      await work();
      return plans.flatMap(accessesIn);
    },
  };
}

/** https://www.postgresql.org/docs/current/sql-explain.html, FORMAT JSON */
interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Rows Removed by Index Recheck"?: number;
  readonly Plans?: readonly PlanNode[];
}

function accessesIn(node: PlanNode): TableAccess[] {
  const table = node["Relation Name"];
  const own =
    table === undefined || node["Node Type"] === "ModifyTable"
      ? []
      : [
          {
            table,
            node: node["Node Type"],
            index: node["Index Name"],
            rowsRead:
              (node["Actual Rows"] +
                (node["Rows Removed by Filter"] ?? 0) +
                (node["Rows Removed by Index Recheck"] ?? 0)) *
              node["Actual Loops"],
          },
        ];
  return [...own, ...(node.Plans ?? []).flatMap(accessesIn)];
}
