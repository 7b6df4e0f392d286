// The plain service's worker: one transaction for each event locks the card, applies, and marks the event.

/** @typedef {{ body: Record<string, any>, at: Date, receivedAt: Date }} Waiting */
/** @typedef {Record<string, unknown>} Row */

/** The columns that an event has a field of the same name for. */
const CARD_FIELDS = `card_id card_number card_bin card_scheme card_product_id
  card_currency mode_type form_factor card_limit`.split(/\s+/);
const AUTHORIZATION_FIELDS =
  `card_id cardholder_id transaction_type transaction_status description
  transaction_amount transaction_currency billing_amount billing_currency
  transaction_fee transaction_fee_currency authorization_code`.split(/\s+/);
const MCC_WORDS = /\bMCC\b|merchant category/i;

/** @param {import("pg").Pool} pool @param {string} eventId */
export async function applyEvent(pool, eventId) {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const event = await lockEvent(client, eventId);
    if (event !== undefined) {
      await upsertCard(client, event);
      if (event.body.event_type === "issuing.transaction.authorization")
        await upsertAuthorization(client, event);
      await client.query({
        name: "mark-processed",
        text: `update webhook_events
               set state = 'processed', processed_at = clock_timestamp(), attempts = attempts + 1
               where event_id = $1`,
        values: [eventId],
      });
    }
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}

/** @param {import("pg").PoolClient} client @param {string} eventId @returns {Promise<Waiting | undefined>} */
async function lockEvent(client, eventId) {
  const { rows } = await client.query({
    name: "lock-event",
    text: `select body, signed_at, received_at from webhook_events
           where event_id = $1 and state = 'received' for update`,
    values: [eventId],
  });
  const [row] = rows;
  if (row === undefined) return undefined;
  const body = JSON.parse(row.body);
  const { update_time: updateTime, transaction_time: madeAt } = body.data;
  const at = new Date(updateTime ?? madeAt ?? row.signed_at);
  return { body, at, receivedAt: row.received_at };
}

/** @param {import("pg").PoolClient} client @param {Waiting} waiting */
async function upsertCard(client, { body, at }) {
  const { data } = body;
  const { rows } = await client.query({
    name: "lock-card",
    text: "select status_changed_at, balance_as_of from cards where card_id = $1 for update",
    values: [data.card_id],
  });
  const known = rows[0];
  const hasStatus = data.card_status && !(known?.status_changed_at > at);
  const balance = data.available_balance ?? data.card_available_balance;
  const hasBalance = balance && !(known?.balance_as_of > at);
  const row = {
    ...pick(data, CARD_FIELDS),
    cardholder_id: data.cardholder?.cardholder_id ?? data.cardholder_id,
    card_status: hasStatus ? data.card_status : undefined,
    status_changed_at: hasStatus ? at : undefined,
    available_balance: hasBalance ? balance : undefined,
    balance_as_of: hasBalance ? at : undefined,
    spending_controls: toJson(data.spending_controls),
    risk_control: toJson(data.risk_control),
    metadata: toJson(data.metadata),
    last_event_id: body.event_id,
    last_event_at: at,
  };
  const kept = Object.keys(row).map(
    (name) => `${name} = coalesce(excluded.${name}, cards.${name})`,
  );
  await insert(
    client,
    "cards",
    { ...row, first_seen_at: at, field_clocks: "{}" },
    `on conflict (card_id) do update set updated_at = now(), ${kept.join(", ")}`,
  );
}

/** @param {import("pg").PoolClient} client @param {Waiting} waiting */
async function upsertAuthorization(client, { body, at, receivedAt }) {
  const { data } = body;
  const [merchant = {}] = data.merchant_data ?? [];
  const isDeclined = data.transaction_status === "DECLINED";
  const isMccDecline = isDeclined && MCC_WORDS.test(data.description ?? "");
  const row = {
    transaction_id: data.transaction_id ?? body.source_id,
    kind: "authorization",
    event_id: body.event_id,
    ...pick(data, AUTHORIZATION_FIELDS),
    mcc: merchant.category_code,
    merchant_name: merchant.name,
    transaction_time: at,
    decline_category: isMccDecline ? "mcc" : isDeclined ? "other" : undefined,
    mcc_declined: isMccDecline,
    received_at: receivedAt,
    field_clocks: "{}",
  };
  await insert(
    client,
    "transactions",
    row,
    `on conflict (transaction_id, kind) do update set
       event_id = excluded.event_id,
       transaction_status = excluded.transaction_status,
       description = excluded.description,
       decline_category = excluded.decline_category,
       mcc_declined = excluded.mcc_declined,
       updated_at = now()
     where transactions.transaction_time is null
        or transactions.transaction_time <= excluded.transaction_time`,
  );
}

/** @param {import("pg").ClientBase | import("pg").Pool} client @param {string} table @param {Row} row @param {string} onConflict */
export function insert(client, table, row, onConflict) {
  const names = Object.keys(row);
  const places = names.map((_, index) => `$${String(index + 1)}`);
  return client.query({
    name: `insert-${table}`,
    text: `insert into ${table} (${names.join(", ")}) values (${places.join(", ")}) ${onConflict}`,
    values: Object.values(row),
  });
}

/** @param {Row} data @param {readonly string[]} names @returns {Row} */
function pick(data, names) {
  return Object.fromEntries(names.map((name) => [name, data[name]]));
}

/** @param {unknown} value */
function toJson(value) {
  return value && JSON.stringify(value);
}
