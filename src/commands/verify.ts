import type { Command } from "@commander-js/extra-typings";
import type { RecomputeProgress } from "../recompute-projection.ts";
import {
  rebuildProjection,
  verifyProjection,
} from "../recompute-projection.ts";
import type { Database } from "../store/database.ts";
import type { ColumnChange } from "../store/row-changes.ts";
import type { Context, Frame, Outcome } from "./frame.ts";
import { JSON_OPTION } from "./frame.ts";
import { describeChange } from "./describe-change.ts";
import { withDatabase } from "./with-database.ts";

export function addVerify(program: Command, frame: Frame): void {
  program
    .command("verify")
    .summary("compare the tables with what the inbox says")
    .description(
      "Recomputes every card and authorization from the inbox and reports each difference. Exit code 1 if there is one.",
    )
    .option("--card <card_id>", "only this card and its authorizations")
    .option(...JSON_OPTION)
    .action((options) =>
      frame.run(options, (context) =>
        withDatabase(context, (db) => verify(context, db, options.card)),
      ),
    );
}

export function addRebuild(program: Command, frame: Frame): void {
  program
    .command("rebuild")
    .summary("write the rows that differ from what the inbox says")
    .description(
      "Recomputes every card and authorization from the inbox and writes the rows that differ.",
    )
    .option("--card <card_id>", "only this card and its authorizations")
    .option(...JSON_OPTION)
    .action((options) =>
      frame.run(options, (context) =>
        withDatabase(context, (db) => rebuild(context, db, options.card)),
      ),
    );
}

async function verify(
  context: Context,
  db: Database,
  cardId: string | undefined,
): Promise<Outcome> {
  const { cards, differences } = await report(
    context,
    verifyProjection(db, cardId),
  );
  context.print(
    `${String(cards)} cards verified, ${String(differences.length)} differences\n`,
  );
  return {
    result: { cards, differences },
    foundSomething: differences.length > 0,
  };
}

async function rebuild(
  context: Context,
  db: Database,
  cardId: string | undefined,
): Promise<Outcome> {
  const { cards, differences } = await report(
    context,
    rebuildProjection(db, cardId),
  );
  context.print(
    `${String(cards)} cards rebuilt, ${String(differences.length)} columns changed\n`,
  );
  return { result: { cards, differences } };
}

async function report(
  context: Context,
  pages: AsyncGenerator<RecomputeProgress>,
): Promise<{ cards: number; differences: readonly ColumnChange[] }> {
  let cards = 0;
  const differences: ColumnChange[] = [];
  for await (const { cardCount, changes } of pages) {
    cards += cardCount;
    differences.push(...changes);
    for (const change of changes) context.print(describeChange(change));
    context.progress.tell(
      `${String(cards)} cards read, ${String(differences.length)} differences`,
    );
  }
  return { cards, differences };
}
