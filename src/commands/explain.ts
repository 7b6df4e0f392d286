import type { Command } from "@commander-js/extra-typings";
import { explainCard } from "../operate/explain.ts";
import { describeCard } from "./describe-card.ts";
import type { Frame } from "./frame.ts";
import { CommandError } from "./frame.ts";
import { withDatabase } from "./with-database.ts";

export function addExplain(program: Command, { run }: Frame): void {
  program
    .command("explain")
    .summary("tell what is true of a card, and how it came about")
    .description(
      "Tells a card's status, since when and by which event, and whether its row agrees with its events; then every event in effective order: what it changed in which column, what was superseded and why, what waits, failed or is in quarantine. Exit code 1 if the row does not say what the events imply.",
    )
    .argument("<card_id>", "the card")
    .action(
      run(
        withDatabase(async ({ db, print }, cardId) => {
          const card = await explainCard(db, cardId);
          if (card === undefined)
            throw new CommandError(
              `Nothing is known of card ${cardId}: no row, no event and no quarantined delivery is about it.`,
            );
          print(describeCard(card));
          const agrees = card.row === "agrees" || card.row === "absent";
          return { result: card, foundSomething: !agrees };
        }),
      ),
    );
}
