// Baseline A with the product's commit, and with nothing else of the product's: no queue, no sweep, no health. What is
// between the two is what a durable row costs in this shell, whoever writes it.
import { createPool } from "../../dist/src/store/database.js";
import { recordEvents } from "../../dist/src/store/inbox.js";
import { startShell } from "../lib/shell.mjs";

const pool = createPool({
  url: process.env.DATABASE_URL ?? "",
  maxConnections: 5,
  queryTimeoutMs: 5_000,
  applicationName: "shell with inbox",
  onError: () => undefined,
});
await startShell((entries) => recordEvents(pool, entries));
