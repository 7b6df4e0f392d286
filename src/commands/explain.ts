import type { Command } from "@commander-js/extra-typings";
import { explainCard } from "../operate/explain.ts";
import { describeCard } from "./describe-card.ts";
import type { Context, Frame, Outcome } from "./frame.ts";
import { JSON_OPTION } from "./frame.ts";
import { CommandError } from "./usage-error.ts";
import { withDatabase } from "./with-database.ts";

export function addExplain(program: Command, frame: Frame): void {
  program
    .command("explain")
    .summary("tell what is true of a card, and how it came about")
    .description(
      "Tells a card's status, since when and by which event, and whether its row agrees with its events; then every event in effective order: what it changed in which column, what was superseded and why, what waits, failed or is in quarantine. Exit code 1 if the row does not say what the events imply.",
    )
    .argument("<card_id>", "the card")
    .option(...JSON_OPTION)
    .action((cardId, options) =>
      frame.run(options, (context) => explain(context, cardId)),
    );
}

function explain(context: Context, cardId: string): Promise<Outcome> {
  return withDatabase(context, async (db) => {
    const explanation = await explainCard(db, cardId);
    if (explanation === undefined)
      throw new CommandError(
        `Nothing is known of card ${cardId}: no row, no event and no quarantined delivery is about it.`,
      );
    context.print(describeCard(explanation));
    return {
      result: explanation,
      foundSomething: !["agrees", "absent"].includes(explanation.row),
    };
  });
}
