import type { Config } from "../config.ts";
import type { RecomputeProgress } from "../recompute-projection.ts";
import {
  rebuildProjection,
  verifyProjection,
} from "../recompute-projection.ts";
import { print } from "./print.ts";
import { readOptions } from "./read-options.ts";
import { describeChange } from "./replay.ts";
import { withDatabase } from "./with-database.ts";

export const VERIFY_USAGE = `verify [--card ID]
      recomputes every card and authorization from the inbox and reports each difference; exit 1 if there is one`;

export async function verify(
  args: readonly string[],
  config: Config,
): Promise<void> {
  const { values } = readOptions(
    args,
    { card: { type: "string" } },
    VERIFY_USAGE,
  );
  await withDatabase(config, async (db) => {
    const { cards, differences } = await report(
      verifyProjection(db, values.card),
    );
    print(
      `${String(cards)} cards verified, ${String(differences)} differences\n`,
    );
    if (differences > 0) process.exitCode = 1;
  });
}

export const REBUILD_USAGE = `rebuild [--card ID]
      writes the rows that differ from what the inbox says`;

export async function rebuild(
  args: readonly string[],
  config: Config,
): Promise<void> {
  const { values } = readOptions(
    args,
    { card: { type: "string" } },
    REBUILD_USAGE,
  );
  await withDatabase(config, async (db) => {
    const { cards, differences } = await report(
      rebuildProjection(db, values.card),
    );
    print(
      `${String(cards)} cards rebuilt, ${String(differences)} columns changed\n`,
    );
  });
}

async function report(
  progress: AsyncGenerator<RecomputeProgress>,
): Promise<{ cards: number; differences: number }> {
  let cards = 0;
  let differences = 0;
  for await (const { cardCount, changes } of progress) {
    cards += cardCount;
    differences += changes.length;
    for (const change of changes) print(describeChange(change));
  }
  return { cards, differences };
}
