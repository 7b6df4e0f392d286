import type { Reader } from "./service.ts";

export interface Size {
  readonly events: number;
  readonly cards: number;
}

/**
 * Fills the tables as years of use would: events about cards in the order of time, all applied, one in four an
 * authorization, one authorization in fifty declined for its MCC and four in five settled; an order of each card; a thousand open and ten thousand resolved entries in
 * the quarantine. Then the statistics are taken, as autovacuum does.
 */
export async function fill(
  { rows }: Reader,
  { events, cards }: Size,
): Promise<void> {
  await rows("set synchronous_commit = off");
  await rows(
    `insert into cards (card_id, card_status, status_changed_at, observed_status, observed_status_at,
       status_contradicted, allowed_mcc, blocked_mcc, mcc_mode, cardholder_id, first_seen_at, last_event_id,
       last_event_at, field_clocks)
     select 'card-' || n, (array['ACTIVE', 'FROZEN', 'CANCELLED'])[1 + n % 3], now() - interval '1 day',
       (array['ACTIVE', 'FROZEN', 'CANCELLED'])[1 + (n + (n % 1000 = 0)::int) % 3], now() - interval '1 hour',
       n % 1000 = 0, '{}', '{5999}', 'block', 'holder-' || n / 2, now() - interval '1 year', 'event-' || n, now(), '{}'
     from generate_series(1, $1::int) n`,
    [cards],
  );
  await rows(
    `insert into webhook_events (event_id, event_type, card_id, body, body_sha256, signed_at, received_at, state,
       attempts, processed_at)
     select 'event-' || n, (array['card.status.update.succeeded', 'issuing.transaction.authorization'])[1 + (n % 4) / 3],
       'card-' || 1 + (n::bigint * 7919) % $2::int, rpad('{}', 300), sha256(n::text::bytea), at, at, 'processed', 1, at
     from generate_series(1, $1::int) n, lateral (select now() - ($1::int - n) * interval '10 seconds') t (at)`,
    [events, cards],
  );
  await rows(
    `insert into transactions (transaction_id, kind, event_id, card_id, transaction_status, transaction_time,
       decline_category, mcc_declined, mcc, billing_currency, received_at, field_clocks)
     select 'transaction-' || n, 'authorization', 'event-' || n, 'card-' || 1 + (n::bigint * 7919) % $2::int,
       case when n % 50 = 0 then 'DECLINED' else 'APPROVED' end, at,
       case when n % 50 = 0 then 'mcc' end, n % 50 = 0, '5999', 'USD', at, '{}'
     from generate_series(1, $1::int / 4) n, lateral (select now() - ($1::int / 4 - n) * interval '40 seconds') t (at)`,
    [events, cards],
  );
  await rows(
    `insert into transactions (transaction_id, kind, event_id, card_id, transaction_status, transaction_time,
       original_transaction_id, billing_amount, billing_currency, mcc_declined, received_at, field_clocks)
     select 'settlement-' || transaction_id, 'settlement.debit', 'none', card_id, 'APPROVED', transaction_time,
       transaction_id, 1, 'USD', false, received_at, '{}'
     from transactions where right(transaction_id, 1) < '8'`,
  );
  await rows(
    `insert into card_orders (order_id, card_id, order_type, order_status, event_id, first_seen_at, field_clocks)
     select 'order-' || n, 'card-' || n, 'create', 'SUCCESS', 'event-' || n, now(), '{}'
     from generate_series(1, $1::int) n`,
    [cards],
  );
  await rows(
    `insert into quarantined_events (reason, body, body_sha256, received_at, resolved_at, resolution)
     select 'invalid_json', '{', sha256(n::text::bytea), now(),
       case when n > 1000 then now() end, case when n > 1000 then 'dismissed' end
     from generate_series(1, 11000) n`,
  );
  for (const table of [
    "cards",
    "webhook_events",
    "transactions",
    "card_orders",
    "quarantined_events",
  ])
    await rows(`vacuum analyze ${table}`);
}
