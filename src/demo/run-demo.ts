import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { postSigned } from "../send-event.ts";
import { formatTable } from "../commands/format-table.ts";
import type { DemoDelivery } from "./deliveries.ts";
import { demoDeliveries } from "./deliveries.ts";
import type { Cell, ExpectedTable } from "./expected-tables.ts";
import { EXPECTED_TABLES } from "./expected-tables.ts";

export interface DemoOptions {
  readonly url: string;
  readonly databaseUrl: string;
  readonly secret: string;
  readonly write: (text: string) => void;
}

const PATIENCE_MS = 10_000;

/**
 * Delivers the example events through real HTTP with real signatures, waits until they are applied, and shows
 * the tables.
 *
 * @returns how many answers and cells differ from what they must be
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const client = new pg.Client({ connectionString: options.databaseUrl });
  await client.connect();
  try {
    let differences = await deliverAll(options);
    await waitUntilApplied(client);
    for (const table of EXPECTED_TABLES)
      differences += await show(client, table, options.write);
    options.write(
      differences === 0
        ? "\n  Everything is as it must be.\n\n"
        : `\n  ${String(differences)} differences: this is not as it must be.\n\n`,
    );
    return differences;
  } finally {
    await client.end();
  }
}

async function deliverAll({
  url,
  secret,
  write,
}: DemoOptions): Promise<number> {
  const rows: string[][] = [];
  let differences = 0;
  for (const delivery of await demoDeliveries()) {
    const answer = await deliver(delivery, url, secret);
    const isRight = answer === delivery.expected;
    if (!isRight) differences++;
    rows.push([
      delivery.title,
      answer,
      isRight ? "" : `expected ${delivery.expected}`,
    ]);
  }
  write(
    `\n  Deliveries to ${url}\n\n${formatTable(["delivery", "answer", ""], rows)}`,
  );
  return differences;
}

async function deliver(
  delivery: DemoDelivery,
  url: string,
  secret: string,
): Promise<string> {
  const signer = delivery.isForged === true ? "whsec_somebody_else" : secret;
  const { status, text } = await postSigned(
    url,
    delivery.body,
    signer,
    Date.now(),
  );
  const body = JSON.parse(text) as {
    status?: string;
    error?: { code: string };
  };
  return `${String(status)} ${body.status ?? body.error?.code ?? ""}`;
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
    await sleep(50);
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
  return countDifferences(shown, table.rows, write);
}

function countDifferences(
  shown: readonly (readonly string[])[],
  expected: readonly (readonly string[])[],
  write: DemoOptions["write"],
): number {
  if (JSON.stringify(shown) === JSON.stringify(expected)) return 0;
  write(`  expected: ${JSON.stringify(expected)}\n`);
  return 1;
}

function toText(cell: Cell): string {
  if (cell === null) return "";
  if (cell instanceof Date) return cell.toISOString();
  return Array.isArray(cell) ? cell.join(" ") : String(cell);
}
