import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { connectionOf, sessionStatements } from "../../src/store/session.ts";
import { postSigned } from "../../src/operate/send-event.ts";
import { formatTable } from "../../src/commands/text.ts";
import type { DemoDelivery } from "./deliveries.ts";
import { demoDeliveries, startOfStory } from "./deliveries.ts";
import type { ExpectedTable } from "./expected-tables.ts";
import { expectedTables } from "./expected-tables.ts";
import type { Cells } from "./row-changes.ts";
import { describeChanges, readCells } from "./row-changes.ts";

export interface DemoOptions {
  readonly url: string;
  readonly databaseUrl: string;
  readonly secret: string;
  readonly nowMs: number;
  readonly write: (text: string) => void;
}

const PATIENCE_MS = 10_000;
const POLL_MS = 10;

/** What the driver gives for the columns that the demo shows. */
type Cell = string | number | boolean | Date | readonly string[] | null;

/**
 * Delivers the example events through real HTTP with real signatures, one after the other, and tells beside each what
 * was answered and what it changed; then shows the tables.
 *
 * @returns how many answers, changes and tables differ from what they must be
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const startMs = startOfStory(options.nowMs);
  const client = new pg.Client(connectionOf(options.databaseUrl));
  // A connection that breaks: the next query fails with it.
  client.on("error", () => undefined);
  await client.connect();
  try {
    await client.query(
      sessionStatements({ schema: "public", statementTimeoutMs: PATIENCE_MS }),
    );
    let differences = await tellStory(client, startMs, options);
    for (const table of expectedTables(startMs))
      differences += await show(client, table, options.write);
    options.write(
      differences === 0
        ? "\n  All answers, changes and tables are as expected.\n\n"
        : `\n  Not as expected: ${String(differences)} of the answers, changes and tables above.\n\n`,
    );
    return differences;
  } finally {
    await client.end();
  }
}

async function tellStory(
  client: pg.Client,
  startMs: number,
  { url, secret, write }: DemoOptions,
): Promise<number> {
  write(`\n  Deliveries to ${url}\n\n`);
  let differences = 0;
  let before: Cells = new Map();
  for (const delivery of await demoDeliveries(startMs)) {
    const answer = await deliver(delivery, url, secret);
    await waitUntilApplied(client);
    const after = await readCells(client);
    const changes = describeChanges(before, after);
    before = after;
    const wrong = listWrong(delivery, answer, changes);
    write(describeDelivery(delivery, answer, changes) + wrong.join(""));
    differences += wrong.length;
  }
  return differences;
}

const TITLE_WIDTH = 52;

function describeDelivery(
  { title, because }: DemoDelivery,
  answer: string,
  changes: readonly string[],
): string {
  const lines = changes.length > 0 ? [...changes] : ["changes nothing"];
  if (because !== undefined) lines.push(`(${because})`);
  const told = lines.map((line) => `      ${line}\n`).join("");
  return `  ${title.padEnd(TITLE_WIDTH)} ${answer}\n${told}`;
}

function listWrong(
  expected: DemoDelivery,
  answer: string,
  changes: readonly string[],
): string[] {
  const wrong: string[] = [];
  if (answer !== expected.answer)
    wrong.push(`      EXPECTED the answer ${expected.answer}\n`);
  if (changes.join() !== expected.changes.join())
    wrong.push(
      `      EXPECTED ${expected.changes.join("; ") || "no change"}\n`,
    );
  return wrong;
}

async function deliver(
  { body, isForged, signedAtMs }: DemoDelivery,
  url: string,
  secret: string,
): Promise<string> {
  const signer = isForged === true ? "whsec_somebody_else" : secret;
  const { status, text } = await postSigned(url, body, signer, signedAtMs);
  const answer = JSON.parse(text) as {
    status?: string;
    error?: { code: string };
  };
  return `${String(status)} ${answer.status ?? answer.error?.code ?? ""}`;
}

async function waitUntilApplied(client: pg.Client): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const { rows } = await client.query<{ waiting: number }>(
      "select count(*)::int as waiting from webhook_events where state = 'received'",
    );
    if (rows[0]?.waiting === 0) return;
    if (Date.now() > deadline)
      throw new Error("the events were not applied in time");
    await sleep(POLL_MS);
  }
}

async function show(
  client: pg.Client,
  table: ExpectedTable,
  write: DemoOptions["write"],
): Promise<number> {
  const columns = table.columns.join(", ");
  const { rows } = await client.query<Cell[]>({
    text: `select ${columns} from ${table.name} order by ${table.orderBy}`,
    rowMode: "array",
  });
  const shown = rows.map((row) => row.map(toText));
  write(`\n  ${table.name}\n\n${formatTable(table.columns, shown)}`);
  if (JSON.stringify(shown) === JSON.stringify(table.rows)) return 0;
  write(`  EXPECTED\n\n${formatTable(table.columns, table.rows)}`);
  return 1;
}

function toText(cell: Cell): string {
  if (cell === null) return "";
  if (cell instanceof Date) return cell.toISOString();
  return Array.isArray(cell) ? cell.join(" ") : String(cell);
}
