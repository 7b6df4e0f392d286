// Baseline F as a cell.
import { readMachine, stealSince } from "../lib/machine.mjs";
import { runNode } from "../lib/load.mjs";

const SCRIPT = new URL("../baselines/single-inserts.mjs", import.meta.url);

/** @param {number} clients @returns {import("./cell.mjs").Cell} */
export function singleInserts(clients) {
  return {
    key: `single-row inserts by ${String(clients)}`,
    run: async ({ environment, options }) => {
      const database = await environment.freshDatabase();
      await database.rows("checkpoint");
      const walBefore = await environment.readWal();
      const machine = readMachine();
      const { seconds, warmUpSeconds } = options;
      const load = await runNode(SCRIPT, {
        databaseUrl: database.url,
        clients,
        seconds,
        warmUpSeconds,
      });
      const steal = stealSince(machine);
      const walAfter = await environment.readWal();
      const [row] = await database.rows(
        "select count(*)::int as count from webhook_events",
      );
      await database.drop();
      const rows = row?.count ?? 0;
      return {
        ...load,
        rate: load.requests / load.seconds,
        walBytesPerEvent: (walAfter.bytes - walBefore.bytes) / rows,
        fsyncsPerEvent: (walAfter.fsyncs - walBefore.fsyncs) / rows,
        steal,
        problems: [],
      };
    },
  };
}
