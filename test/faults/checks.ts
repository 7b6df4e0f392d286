import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { SentEvent } from "./events.ts";
import type { Row } from "./model.ts";
import { expectTables, json } from "./model.ts";
import { asAdmin } from "./postgres-server.ts";
import type { Signings } from "./sender.ts";

export interface InboxRow {
  readonly event_id: string;
  readonly state: string;
  readonly attempts: number;
  readonly last_error: string | null;
  readonly signed_at: string;
  /** Between being stored and being applied; null when it was not. */
  readonly took_ms: number | null;
}

const INSTANT = (column: string) =>
  `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

export function readInbox(url: string): Promise<readonly InboxRow[]> {
  return asAdmin(url, async (admin) => {
    const { rows } = await admin.query<InboxRow>(`
      select event_id, state, attempts, last_error, ${INSTANT("signed_at")} as signed_at,
             (extract(epoch from processed_at - received_at) * 1000)::float8 as took_ms
      from webhook_events`);
    return rows;
  });
}

/** @returns how long it took until nothing waited, or undefined when that did not happen in time */
export async function untilNothingWaits(
  url: string,
  timeoutMs: number,
): Promise<number | undefined> {
  const startedAt = performance.now();
  return asAdmin(url, async (admin) => {
    for (;;) {
      const { rowCount } = await admin.query(
        `select from webhook_events where state = 'received'
         union all select from earlier_copies where taken_at is null limit 1`,
      );
      const tookMs = performance.now() - startedAt;
      if (rowCount === 0) return tookMs;
      if (tookMs > timeoutMs) return undefined;
      await sleep(100);
    }
  });
}

export interface Expectation {
  readonly sent: readonly SentEvent[];
  readonly acknowledged: ReadonlySet<string>;
  /** Events of which a stale copy was sent. */
  readonly stale: ReadonlySet<string>;
  /** By event id. */
  readonly signings: ReadonlyMap<string, Signings>;
  /** Events that are meant to end `failed`. */
  readonly poison: ReadonlySet<string>;
  readonly databaseUrl: string;
  /** Where the built service is. */
  readonly dist: string;
}

/** Compares everything with what it must be. @returns one line for each difference */
export async function findViolations(
  expectation: Expectation,
): Promise<string[]> {
  const { sent, databaseUrl } = expectation;
  const inbox = await readInbox(databaseUrl);
  const stored = new Map(inbox.map((row) => [row.event_id, row]));
  const violations = [
    ...checkInbox(expectation, stored),
    ...checkSigningTimes(expectation, stored),
    ...(await checkQuarantine(expectation)),
  ];
  // Whatever still waits is reported above, once; the rows must agree with all the rest even so.
  const expected = expectTables(
    sent.flatMap((event) => {
      const row = stored.get(event.id);
      return row?.state === "processed"
        ? [{ event, signedAt: row.signed_at }]
        : [];
    }),
  );
  await asAdmin(databaseUrl, async (admin) => {
    violations.push(
      ...compareTable(
        "cards",
        expected.cards,
        await readTable(admin, "cards", "card_id"),
      ),
      ...compareTable(
        "authorizations",
        expected.authorizations,
        await readTable(admin, "authorizations", "transaction_id"),
      ),
    );
  });
  return [...violations, ...(await checkVerify(expectation))];
}

function checkInbox(
  { sent, acknowledged, poison }: Expectation,
  stored: ReadonlyMap<string, InboxRow>,
): string[] {
  const violations: string[] = [];
  const known = new Map(sent.map((event) => [event.id, event]));
  for (const id of acknowledged) {
    if (!stored.has(id)) violations.push(`acknowledged and not stored: ${id}`);
  }
  for (const row of stored.values()) {
    const event = known.get(row.event_id);
    if (event === undefined) {
      violations.push(`stored and never sent: ${row.event_id}`);
      continue;
    }
    const wanted = poison.has(event.id)
      ? "failed"
      : event.isHandled
        ? "processed"
        : "ignored";
    if (row.state !== wanted)
      violations.push(
        `${row.state} and not ${wanted}: ${event.id} (${event.type}), attempts ${String(row.attempts)}, ${row.last_error ?? "no error"}`,
      );
  }
  return violations;
}

/** An event counts as signed when the earliest of its copies was. One that was not answered may have come, or not. */
function checkSigningTimes(
  { signings }: Expectation,
  stored: ReadonlyMap<string, InboxRow>,
): string[] {
  return [...stored.values()].flatMap((row) => {
    const times = signings.get(row.event_id);
    if (times === undefined) return [];
    const signedMs = Date.parse(row.signed_at);
    if (!times.sent.has(signedMs))
      return [`signed when no copy was: ${row.event_id} at ${row.signed_at}`];
    const earliestMs = Math.min(...times.answered);
    return signedMs > earliestMs
      ? [
          `signed later than a copy that was answered: ${row.event_id} at ${row.signed_at} and not ${new Date(earliestMs).toISOString()}`,
        ]
      : [];
  });
}

async function checkQuarantine({
  databaseUrl,
  stale,
}: Expectation): Promise<string[]> {
  return asAdmin(databaseUrl, async (admin) => {
    const { rows } = await admin.query<{ reason: string; event_id: string }>(
      "select reason, event_id from quarantined_events",
    );
    return rows
      .filter(
        ({ reason, event_id: id }) =>
          reason !== "stale_timestamp" || !stale.has(id),
      )
      .map(({ reason, event_id: id }) => `in quarantine for ${reason}: ${id}`);
  });
}

async function readTable(
  admin: pg.Client,
  table: string,
  key: string,
): Promise<ReadonlyMap<string, Row>> {
  const columns = await admin.query<{ name: string; type: string }>(
    `select column_name as name, data_type as type from information_schema.columns
     where table_schema = 'public' and table_name = $1`,
    [table],
  );
  const list = columns.rows.map(({ name, type }) => {
    if (type === "timestamp with time zone")
      return `${INSTANT(name)} as ${name}`;
    return ["jsonb", "ARRAY"].includes(type) ? name : `${name}::text`;
  });
  const { rows } = await admin.query<Record<string, unknown>>(
    `select ${list.join(", ")} from ${table}`,
  );
  return new Map(
    rows.map((row) => [
      String(row[key]),
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [
          name,
          typeof value === "string" ? value : json(value),
        ]),
      ),
    ]),
  );
}

function compareTable(
  table: string,
  expected: ReadonlyMap<string, Row>,
  actual: ReadonlyMap<string, Row>,
): string[] {
  const violations: string[] = [];
  for (const id of actual.keys())
    if (!expected.has(id))
      violations.push(`${table}, a row that no event explains: ${id}`);
  for (const [id, row] of expected) {
    const found = actual.get(id);
    if (found === undefined) {
      violations.push(`${table}, a row is missing: ${id}`);
      continue;
    }
    for (const [column, value] of Object.entries(row)) {
      if (found[column] !== value)
        violations.push(
          `${table}, another ${column}: ${id} has ${String(found[column])} and not ${String(value)}`,
        );
    }
  }
  return violations;
}

/** The service's own opinion of itself. */
/** Events that are meant to fail are what it may find, and nothing else. */
async function checkVerify({
  databaseUrl,
  dist,
  poison,
}: Expectation): Promise<string[]> {
  const { code, output } = await runCli(
    dist,
    ["verify", "--json"],
    databaseUrl,
  );
  if (code === 0 && poison.size === 0) return [];
  const { result } = readResult(output);
  const isRight =
    result?.differences.length === 0 &&
    result.unreadable_events.length === 0 &&
    result.waiting === 0 &&
    result.failed === poison.size;
  return isRight
    ? []
    : [
        `cli verify ended with ${String(code)}: ${output.slice(0, 1_000)} … ${output.slice(-200)}`,
      ];
}

interface VerifyResult {
  readonly result?: {
    readonly differences: readonly object[];
    readonly unreadable_events: readonly string[];
    readonly waiting: number;
    readonly failed: number;
  };
}

/** It may be behind what was said of the progress. */
function readResult(output: string): VerifyResult {
  try {
    return JSON.parse(output.slice(output.indexOf("{"))) as VerifyResult;
  } catch {
    return {};
  }
}

function runCli(
  dist: string,
  args: readonly string[],
  databaseUrl: string,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(
    process.execPath,
    [join(dist, "src", "cli.js"), ...args],
    {
      env: { PATH: process.env["PATH"] ?? "", DATABASE_URL: databaseUrl },
    },
  );
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += String(chunk)));
  child.stderr.on("data", (chunk: Buffer) => (output += String(chunk)));
  return new Promise((resolve) =>
    child.once("close", (code) => resolve({ code, output })),
  );
}
