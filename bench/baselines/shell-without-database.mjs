// Baseline A: the product's shell without the database step. What the product answers in a second beside it says what
// durability costs.
import { setImmediate as nextTurn } from "node:timers/promises";
import { startShell } from "../lib/shell.mjs";

await startShell(async (entries) => {
  // What was read in one turn shares a line of the log, as it shares a commit in the product. One for each request
  // would make the baseline slower than it has to be.
  await nextTurn();
  return entries.map(() => "recorded");
});
