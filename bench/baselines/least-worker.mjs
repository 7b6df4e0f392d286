// The least that keeps these tables: every column that a payload of the bench fills, and for each field of a card and of
// an authorization the newest event wins, whatever order they come in. Left out: validation, locks of its own, the rules
// of finality and authority, a card_status that was only seen in passing, whether it is contradicted, retries, queue,
// logs, metrics.
// In transactions of the product's size, with its ways to send arrays and to mark the events as they are read, and with
// less read: of what is known, only the clocks. A worker that keeps its promises does more in each of its transactions.
import { textArray } from "../../dist/src/store/array-parameter.js";
import { tuneV8 } from "../../dist/src/tune-v8.js";
import { openPool } from "../lib/pool.mjs";
import { authorizationIn, cardIn, idOf } from "./least-rows.mjs";

const LANES = 3;
const EVENTS_TOGETHER = 500;

tuneV8();
const pool = openPool("least worker", {
  maxConnections: LANES,
  queryTimeoutMs: 30_000,
  looksUpOnly: true,
});

/** @typedef {import("./least-rows.mjs").Row} Row */
/** @typedef {import("./least-rows.mjs").Fields} Fields */

/** What an authorization says of a card; the others are written only for cards that something else speaks of. */
const USE = /** @type {const} */ ({
  card_number: "text",
  cardholder_id: "text",
  available_balance: "numeric",
  balance_as_of: "timestamptz",
});
const LAST = /** @type {const} */ ({
  card_id: "text",
  last_event_id: "text",
  last_event_at: "timestamptz",
  field_clocks: "jsonb",
});
const CARD = /** @type {const} */ ({
  ...LAST,
  ...USE,
  first_seen_at: "timestamptz",
  card_bin: "text",
  card_scheme: "text",
  card_product_id: "text",
  card_currency: "text",
  mode_type: "text",
  form_factor: "text",
  card_status: "text",
  status_reason: "text",
  status_changed_at: "timestamptz",
  observed_status: "text",
  observed_status_at: "timestamptz",
  card_limit: "numeric",
  per_transaction_limit: "numeric",
  spending_controls: "jsonb",
  allowed_mcc: "text[]",
  blocked_mcc: "text[]",
  mcc_mode: "text",
  risk_control: "jsonb",
  metadata: "jsonb",
  controls_updated_at: "timestamptz",
  cancelled_at: "timestamptz",
});
const AUTHORIZATION = /** @type {const} */ ({
  transaction_id: "text",
  event_id: "text",
  card_id: "text",
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
  mcc: "text",
  merchant_name: "text",
  transaction_time: "timestamptz",
  posted_time: "timestamptz",
  decline_category: "text",
  mcc_declined: "boolean",
  received_at: "timestamptz",
  field_clocks: "jsonb",
});

const upsertCards = upsert("cards", "card_id", CARD);
const upsertAuthorizations = upsert(
  "authorizations",
  "transaction_id",
  AUTHORIZATION,
);
const updateUse = writer(
  { ...LAST, ...USE },
  (sent) => `
    update cards as known
    set ${assign({ ...LAST, ...USE }, "sent")}, updated_at = now()
    from (${sent}) as sent
    where known.card_id = sent.card_id`,
);

/** @param {string} table @param {string} key @param {Readonly<Record<string, string>>} columns SQL types by name */
function upsert(table, key, columns) {
  return writer(
    columns,
    (sent) => `
    insert into ${table} as known (${Object.keys(columns).join()}) ${sent}
    on conflict (${key}) do update set ${assign(columns, "excluded")}, updated_at = now()`,
  );
}

/** What lost against a newer event is not sent. @param {Readonly<Record<string, string>>} columns @param {string} source */
function assign(columns, source) {
  return Object.keys(columns)
    .map((name) => `${name} = coalesce(${source}.${name}, known.${name})`)
    .join();
}

/** @param {Readonly<Record<string, string>>} columns @param {(sent: string) => string} build */
function writer(columns, build) {
  const names = Object.keys(columns);
  const text = build(`
    select ${names.map((name, at) => `unnest($${at + 1}::text[])::${columns[name]} as ${name}`).join()}`);
  // One for each text, as `pg` asks.
  const name = `least-${String(names.length)}-${names[0]}`;
  /** @param {import("pg").PoolClient} client @param {readonly Fields[]} rows */
  return async (client, rows) => {
    if (rows.length === 0) return;
    const values = names.map((column) =>
      textArray(rows.map((row) => toText(row[column]))),
    );
    await client.query({ name, text, values });
  };
}

/** @param {unknown} value */
function toText(value) {
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" ? value : JSON.stringify(value);
}

const MARK = `
  update webhook_events
  set state = 'processed', processed_at = clock_timestamp(), attempts = attempts + 1, last_error = null,
      event_id = event_id, card_id = card_id, received_at = received_at
  where event_id = any($1::text[]) and state || '' = 'received'
  returning event_id, body, signed_at::text as signed_at, received_at::text as received_at`;

/** @param {string} table @param {string} key */
function findClocks(table, key) {
  const text = `select ${key} as key, field_clocks from ${table} where ${key} = any($1::text[])`;
  /** @param {import("pg").PoolClient} client @param {Iterable<string>} keys @returns {Promise<Map<string, Row>>} */
  return async (client, keys) => {
    const values = [textArray([...new Set(keys)])];
    const name = `least-clocks-${table}`;
    const { rows } = await client.query({ name, text, values });
    return new Map(
      rows.map((row) => [
        row.key,
        {
          fields: {},
          clocks: row.field_clocks.map(readClock),
          isKnown: true,
          isUsed: true,
        },
      ]),
    );
  };
}

/**
 * One text, as the product's, which leaves out the fields of an authorization.
 *
 * @param {import("./least-rows.mjs").Clock} clock
 */
function writeClock({ signed_at, event_id, fields }) {
  return `${signed_at}|${fields.join()}|${event_id}`;
}

/** @param {string} text @returns {import("./least-rows.mjs").Clock} */
function readClock(text) {
  const [signed_at = "", fields = "", ...id] = text.split("|");
  return { signed_at, event_id: id.join("|"), fields: fields.split(",") };
}

const findCardClocks = findClocks("cards", "card_id");
const findAuthorizationClocks = findClocks("authorizations", "transaction_id");

/** @param {readonly string[]} ids */
async function apply(ids) {
  const client = await pool.connect();
  const [, marked] = await Promise.all([
    client.query("begin; set local synchronous_commit = off"),
    client.query({ name: "least-mark", text: MARK, values: [textArray(ids)] }),
  ]);
  const events = marked.rows.map(({ body, ...row }) => ({
    ...row,
    data: JSON.parse(body).data,
  }));
  const uses = events.filter(({ data }) => "transaction_status" in data);
  const [cards, authorizations] = await Promise.all([
    findCardClocks(
      client,
      events.map(({ data }) => data.card_id),
    ),
    findAuthorizationClocks(client, uses.map(idOf)),
  ]);
  for (const event of events) cardIn(cards, event);
  for (const event of uses) authorizationIn(authorizations, event);
  const changed = [...cards.values()];
  const isUse = (/** @type {Row} */ { isKnown, isUsed }) => isKnown && isUsed;
  const fieldsOf = (/** @type {Row} */ { fields, clocks }) => ({
    ...fields,
    field_clocks: clocks.map(writeClock),
  });
  await Promise.all([
    updateUse(client, changed.filter(isUse).map(fieldsOf)),
    upsertCards(client, changed.filter((card) => !isUse(card)).map(fieldsOf)),
    upsertAuthorizations(client, [...authorizations.values()].map(fieldsOf)),
    client.query("commit"),
  ]);
  client.release();
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
