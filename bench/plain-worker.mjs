// The plain service's worker: one transaction for each event locks the card, applies, and marks the event.

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

/** @typedef {{ body: Record<string, any>, at: Date, receivedAt: Date }} Waiting */

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
  const statusIsNewer =
    data.card_status !== undefined && !(known?.status_changed_at > at);
  const balance = data.available_balance ?? data.card_available_balance;
  const balanceIsNewer = balance !== undefined && !(known?.balance_as_of > at);
  await client.query({
    name: "upsert-card",
    text: `
      insert into cards as card
        (card_id, card_number, card_bin, card_scheme, card_product_id, cardholder_id, card_currency, mode_type,
         form_factor, card_limit, card_status, status_changed_at, available_balance, balance_as_of, spending_controls,
         risk_control, metadata, first_seen_at, last_event_id, last_event_at, field_clocks)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $18, '{}')
      on conflict (card_id) do update set
        card_number = coalesce(excluded.card_number, card.card_number),
        card_bin = coalesce(excluded.card_bin, card.card_bin),
        card_scheme = coalesce(excluded.card_scheme, card.card_scheme),
        card_product_id = coalesce(excluded.card_product_id, card.card_product_id),
        cardholder_id = coalesce(excluded.cardholder_id, card.cardholder_id),
        card_currency = coalesce(excluded.card_currency, card.card_currency),
        mode_type = coalesce(excluded.mode_type, card.mode_type),
        form_factor = coalesce(excluded.form_factor, card.form_factor),
        card_limit = coalesce(excluded.card_limit, card.card_limit),
        card_status = coalesce(excluded.card_status, card.card_status),
        status_changed_at = coalesce(excluded.status_changed_at, card.status_changed_at),
        available_balance = coalesce(excluded.available_balance, card.available_balance),
        balance_as_of = coalesce(excluded.balance_as_of, card.balance_as_of),
        spending_controls = coalesce(excluded.spending_controls, card.spending_controls),
        risk_control = coalesce(excluded.risk_control, card.risk_control),
        metadata = coalesce(excluded.metadata, card.metadata),
        last_event_id = excluded.last_event_id,
        last_event_at = excluded.last_event_at,
        updated_at = now()`,
    values: [
      data.card_id,
      data.card_number,
      data.card_bin,
      data.card_scheme,
      data.card_product_id,
      data.cardholder?.cardholder_id ?? data.cardholder_id,
      data.card_currency,
      data.mode_type,
      data.form_factor,
      data.card_limit,
      statusIsNewer ? data.card_status : undefined,
      statusIsNewer ? at : undefined,
      balanceIsNewer ? balance : undefined,
      balanceIsNewer ? at : undefined,
      data.spending_controls && JSON.stringify(data.spending_controls),
      data.risk_control && JSON.stringify(data.risk_control),
      data.metadata && JSON.stringify(data.metadata),
      at,
      body.event_id,
    ],
  });
}

const MCC_WORDS = /\bMCC\b|merchant category/i;

/** @param {import("pg").PoolClient} client @param {Waiting} waiting */
async function upsertAuthorization(client, { body, at, receivedAt }) {
  const { data } = body;
  const [merchant = {}] = data.merchant_data ?? [];
  const isDeclined = data.transaction_status === "DECLINED";
  const isMccDecline = isDeclined && MCC_WORDS.test(data.description ?? "");
  const category = isMccDecline ? "mcc" : isDeclined ? "other" : undefined;
  await client.query({
    name: "upsert-authorization",
    text: `
      insert into authorizations
        (transaction_id, event_id, card_id, cardholder_id, transaction_type, transaction_status, description,
         transaction_amount, transaction_currency, billing_amount, billing_currency, transaction_fee,
         transaction_fee_currency, authorization_code, mcc, merchant_name, transaction_time, decline_category,
         mcc_declined, received_at, field_clocks)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, '{}')
      on conflict (transaction_id) do update set
        event_id = excluded.event_id,
        transaction_status = excluded.transaction_status,
        description = excluded.description,
        decline_category = excluded.decline_category,
        mcc_declined = excluded.mcc_declined,
        updated_at = now()
      where authorizations.transaction_time is null
         or authorizations.transaction_time <= excluded.transaction_time`,
    values: [
      data.transaction_id ?? body.source_id,
      body.event_id,
      data.card_id,
      data.cardholder_id,
      data.transaction_type,
      data.transaction_status,
      data.description,
      data.transaction_amount,
      data.transaction_currency,
      data.billing_amount,
      data.billing_currency,
      data.transaction_fee,
      data.transaction_fee_currency,
      data.authorization_code,
      merchant.category_code,
      merchant.name,
      at,
      category,
      isMccDecline,
      receivedAt,
    ],
  });
}
