// The least that can apply and converge: for each field of a card the newest event wins, whatever order they come in.
// Authorizations, and when a card was heard of, go by arrival. No queue, no validation, no lock of its own, one rule for
// all fields, and half of the columns. In transactions of the product's size, in two lanes, with the product's way to
// send arrays. A worker that keeps all of these tables does more in each of its transactions.
import { randomUUID } from "node:crypto";
import { textArray } from "../../dist/src/store/array-parameter.js";
import { tuneV8 } from "../../dist/src/tune-v8.js";
import { openPool } from "../lib/pool.mjs";

const LANES = 2;
const EVENTS_TOGETHER = 500;

tuneV8();
const pool = openPool("least worker", {
  maxConnections: LANES,
  queryTimeoutMs: 30_000,
  looksUpOnly: true,
});

/** @typedef {Record<string, any>} Fields */

/** The columns that a payload of the bench fills, with what stands in it. */
const CARD = /** @type {const} */ ({
  card_number: "text",
  card_bin: "text",
  card_scheme: "text",
  card_product_id: "text",
  card_currency: "text",
  mode_type: "text",
  form_factor: "text",
  card_limit: "numeric",
  card_status: "text",
  available_balance: "numeric",
  spending_controls: "jsonb",
  risk_control: "jsonb",
  metadata: "jsonb",
});
const AUTHORIZATION = /** @type {const} */ ({
  cardholder_id: "text",
  transaction_type: "text",
  transaction_status: "text",
  description: "text",
  transaction_amount: "numeric",
  transaction_currency: "text",
  billing_amount: "numeric",
  billing_currency: "text",
  transaction_fee: "numeric",
  transaction_fee_currency: "text",
  authorization_code: "text",
  transaction_time: "timestamptz",
});
const KEYS = { card_id: "text", event_id: "text", signed_at: "timestamptz" };

const upsertCards = upsert(
  "cards",
  "card_id",
  { ...KEYS, ...CARD, field_clocks: "jsonb" },
  {
    card_id: "card_id",
    ...own(CARD),
    first_seen_at: "signed_at",
    last_event_id: "event_id",
    last_event_at: "signed_at",
    field_clocks: "field_clocks",
  },
);
const upsertAuthorizations = upsert(
  "authorizations",
  "transaction_id",
  { ...KEYS, transaction_id: "text", ...AUTHORIZATION },
  {
    transaction_id: "transaction_id",
    event_id: "event_id",
    card_id: "card_id",
    ...own(AUTHORIZATION),
    decline_category:
      "case transaction_status when 'DECLINED' then 'other' end",
    mcc_declined: "false",
    received_at: "signed_at",
    field_clocks: "'[]'::jsonb",
  },
);

/** @param {Fields} columns */
function own(columns) {
  return Object.fromEntries(Object.keys(columns).map((name) => [name, name]));
}

/**
 * @param {string} table @param {string} key
 * @param {Readonly<Record<string, string>>} given the SQL types of what is sent, by name
 * @param {Readonly<Record<string, string>>} written the expression of each column that is written
 */
function upsert(table, key, given, written) {
  const names = Object.keys(given);
  const columns = Object.keys(written);
  const text = `
    insert into ${table} as known (${columns.join()})
    select ${Object.values(written).join()}
    from (
      select ${names.map((name) => `${name}::${given[name]}`).join()}
      from unnest(${names.map((_, at) => `$${at + 1}::text[]`).join()}) as sent (${names.join()})
    ) as row
    on conflict (${key}) do update
    set ${columns.map((name) => `${name} = coalesce(excluded.${name}, known.${name})`).join()}, updated_at = now()`;
  /** @param {import("pg").PoolClient} client @param {readonly Fields[]} rows */
  return (client, rows) =>
    client.query({
      name: `least-${table}`,
      text,
      values: names.map((name) =>
        textArray(rows.map((row) => toText(row[name]))),
      ),
    });
}

/** @param {unknown} value */
function toText(value) {
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" ? value : JSON.stringify(value);
}

const MARK = `
  update webhook_events set state = 'processed', processed_at = clock_timestamp(), attempts = attempts + 1
  where event_id = any($1::text[]) and state || '' = 'received'
  returning event_id, body, signed_at::text as signed_at`;

const FIND_CLOCKS =
  "select card_id, field_clocks from cards where card_id = any($1::text[])";

/** @param {readonly string[]} ids */
async function apply(ids) {
  const client = await pool.connect();
  const [, marked] = await Promise.all([
    client.query("begin; set local synchronous_commit = off"),
    client.query({ name: "least-mark", text: MARK, values: [ids] }),
  ]);
  const events = marked.rows.map((row) => ({
    ...JSON.parse(row.body).data,
    event_id: row.event_id,
    signed_at: row.signed_at,
  }));
  const known = await client.query({
    name: "least-clocks",
    text: FIND_CLOCKS,
    values: [[...new Set(events.map((event) => event.card_id))]],
  });
  /** @type {Map<string, Fields>} */
  const cards = new Map(
    known.rows.map((row) => [row.card_id, { field_clocks: row.field_clocks }]),
  );
  /** @type {Map<string, Fields>} */
  const authorizations = new Map();
  for (const event of events) {
    cards.set(event.card_id, merge(cards.get(event.card_id), event));
    if (event.transaction_status === undefined) continue;
    event.transaction_id ??= randomUUID();
    authorizations.set(event.transaction_id, event);
  }
  await Promise.all([
    upsertCards(client, [...cards.values()]),
    upsertAuthorizations(client, [...authorizations.values()]),
    client.query("commit"),
  ]);
  client.release();
}

const CARD_FIELDS = Object.keys(CARD);

/**
 * @param {Fields} [card] what is known of it: the clocks, and the values that are newer than the row's
 * @param {Fields} event
 */
function merge(card = { field_clocks: [] }, event) {
  const { card_id, event_id, signed_at } = event;
  /** @type {string[]} */
  const won = [];
  /** @type {Fields} */
  const after = { ...card, card_id, event_id, signed_at };
  const isNewer = (/** @type {Fields} */ clock) =>
    clock.signed_at > signed_at ||
    (clock.signed_at === signed_at && clock.event_id > event_id);
  const newer = card.field_clocks.filter(isNewer);
  for (const field of CARD_FIELDS) {
    if (event[field] === undefined) continue;
    if (newer.some((clock) => clock.fields.includes(field))) continue;
    won.push(field);
    after[field] = event[field];
  }
  after.field_clocks = card.field_clocks.flatMap(
    (/** @type {Fields} */ clock) => {
      const fields = isNewer(clock)
        ? clock.fields
        : clock.fields.filter(
            (/** @type {string} */ field) => !won.includes(field),
          );
      return fields.length === 0 ? [] : [{ ...clock, fields }];
    },
  );
  if (won.length > 0)
    after.field_clocks.push({ signed_at, event_id, fields: won });
  return after;
}

process.stdout.write(`${JSON.stringify({ port: 0, msg: "listening" })}\n`);
process.once("SIGTERM", () => process.exit());

const { rows } = await pool.query(
  "select event_id, abs(hashtext(card_id)) % $1 as lane from webhook_events where state = 'received' order by received_at",
  [LANES],
);
await Promise.all(
  Array.from({ length: LANES }, async (_, lane) => {
    const ids = rows
      .filter((row) => row.lane === lane)
      .map((row) => row.event_id);
    for (let at = 0; at < ids.length; at += EVENTS_TOGETHER)
      await apply(ids.slice(at, at + EVENTS_TOGETHER));
  }),
);
