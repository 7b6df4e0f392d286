import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { postSigned } from "../../src/operate/send-event.ts";
import { connectionOf, sessionStatements } from "../../src/store/session.ts";
import type { Rows } from "./rows.ts";
import {
  changeRows,
  listChanges,
  readRows,
  showTable,
  TABLES,
} from "./rows.ts";
import { type Delivery, STEP_MS, tellStory } from "./story.ts";

export interface DemoOptions {
  readonly url: string;
  readonly databaseUrl: string;
  readonly secret: string;
  readonly nowMs: number;
  readonly write: Write;
}

type Write = (text: string) => void;

const PATIENCE_MS = 10_000;
const POLL_MS = 10;
const TITLE_WIDTH = 52;
/** The story began so long ago, within the tolerance of the signature. */
const AGE_MS = 150_000;

/**
 * Delivers the example events through real HTTP with real signatures, one after the other, and tells beside each what
 * was answered and what it changed; then shows the tables.
 *
 * @returns how many answers, changes and tables differ from what they must be
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { databaseUrl, nowMs, write } = options;
  const startMs = Math.floor((nowMs - AGE_MS) / 1_000) * 1_000;
  const client = new pg.Client(connectionOf(databaseUrl));
  // A connection that breaks: the next query fails with it.
  client.on("error", () => undefined);
  await client.connect();
  try {
    await client.query(
      sessionStatements({ schema: "public", statementTimeoutMs: PATIENCE_MS }),
    );
    const told = await tell(client, startMs, options);
    const differences = told.differences + showTables(told, write);
    write(
      differences === 0
        ? "\n  All answers, changes and tables are as expected.\n\n"
        : `\n  Not as expected: ${String(differences)} of the answers, changes and tables above.\n\n`,
    );
    return differences;
  } finally {
    await client.end();
  }
}

/** What the tables hold after the story, what they must hold, and what was wrong on the way. */
interface Progress {
  readonly rows: Rows;
  readonly expected: Rows;
  readonly differences: number;
}

async function tell(
  client: pg.Client,
  startMs: number,
  options: DemoOptions,
): Promise<Progress> {
  const { url, write } = options;
  write(`\n  Deliveries to ${url}\n\n`);
  let told: Progress = { rows: {}, expected: {}, differences: 0 };
  for (const [step, delivery] of (await tellStory(startMs)).entries()) {
    const answer = await deliver(delivery, startMs + step * STEP_MS, options);
    await waitUntilApplied(client);
    const rows = await readRows(client);
    const expected = changeRows(told.expected, delivery.changes ?? {});
    const changes = listChanges(told.rows, rows);
    const rightChanges = listChanges(told.expected, expected);
    const rightAnswer = delivery.answer ?? "200 accepted";
    const wrong: string[] = [];
    if (answer !== rightAnswer)
      wrong.push(`EXPECTED the answer ${rightAnswer}`);
    if (changes.toSorted().join() !== rightChanges.toSorted().join())
      wrong.push(`EXPECTED ${rightChanges.join("; ") || "no change"}`);
    const lines = changes.length > 0 ? changes : ["changes nothing"];
    const why = delivery.because === undefined ? [] : [`(${delivery.because})`];
    write(`  ${delivery.title.padEnd(TITLE_WIDTH)} ${answer}\n`);
    for (const line of [...lines, ...why, ...wrong]) write(`      ${line}\n`);
    told = { rows, expected, differences: told.differences + wrong.length };
  }
  return told;
}

/** @returns how many are not as they must be */
function showTables({ rows, expected }: Progress, write: Write): number {
  let wrong = 0;
  for (const table of TABLES) {
    const shown = showTable(table, rows);
    const right = showTable(table, expected);
    write(`\n  ${table.name}\n\n${shown}`);
    if (shown === right) continue;
    write(`  EXPECTED\n\n${right}`);
    wrong += 1;
  }
  return wrong;
}

async function deliver(
  { event, isForged = false }: Delivery,
  signedAtMs: number,
  { url, secret }: DemoOptions,
): Promise<string> {
  const signer = isForged ? "whsec_somebody_else" : secret;
  const body = JSON.stringify(event);
  const { status, text } = await postSigned(url, body, signer, signedAtMs);
  const [, word = ""] = /"(?:status|code)":"(\w+)"/.exec(text) ?? [];
  return `${String(status)} ${word}`;
}

async function waitUntilApplied(client: pg.Client): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const { rows } = await client.query(
      "select from webhook_events where state = 'received' limit 1",
    );
    if (rows.length === 0) return;
    if (Date.now() > deadline)
      throw new Error("the events were not applied in time");
    await sleep(POLL_MS);
  }
}
