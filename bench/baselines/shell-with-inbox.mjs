// Baseline A with the product's commit, and with nothing else of the product's: no queue, no sweep, no health. What is
// between the two is what a durable row costs in this shell, whoever writes it.
import { recordEvents } from "../../dist/src/store/inbox.js";
import { openPool } from "../lib/pool.mjs";
import { startShell } from "../lib/shell.mjs";

const pool = openPool("shell with inbox");
await startShell((entries) => recordEvents(pool, entries));
