import tab from "@bomb.sh/tab/commander";
import { Command } from "@commander-js/extra-typings";
import { readVersion } from "../process/version.ts";
import { addEvents } from "./events.ts";
import { addExplain } from "./explain.ts";
import type { Frame } from "./frame.ts";
import { addMigrate } from "./migrate.ts";
import { addPrune } from "./prune.ts";
import { addQuarantine } from "./quarantine.ts";
import { addReplay } from "./replay.ts";
import { addSend } from "./send.ts";
import { addServe } from "./serve.ts";
import { addVerify } from "./verify.ts";

const ADD_IN_ORDER = [
  addServe,
  addMigrate,
  addSend,
  addEvents,
  addQuarantine,
  addReplay,
  addVerify,
  addExplain,
  addPrune,
];

/** Every command of the operator's tool. */
export function makeProgram(frame: Frame): Command {
  const program = new Command("uqpay-card-sync")
    .description(
      "Keeps the true state of UQPAY cards in PostgreSQL. Each command works on DATABASE_URL, or on the embedded database while npm start runs.",
    )
    .usage("<command> [options]")
    .version(readVersion())
    .addHelpText(
      "after",
      "\nExit codes: 0 done, 1 found something or failed, 2 used wrongly.\nThrough npm, options stand behind two dashes: npm run cli -- prune --dry-run",
    );
  for (const add of ADD_IN_ORDER) add(program, frame);
  for (const command of program.commands)
    command.option(
      "--json",
      "one JSON document for programs: command, exit_code, result or error",
    );
  // The types of its own commander know nothing of inferred options.
  tab(program as unknown as Parameters<typeof tab>[0]);
  return program;
}
