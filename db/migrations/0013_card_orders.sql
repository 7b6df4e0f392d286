-- What was ordered, and how it ended. Empty at first: `rebuild` fills it from the events that are kept.
create table card_orders (
  order_id      text collate "C" not null,
  card_id       text collate "C",
  order_type    text not null,
  order_status  text not null,
  amount        numeric,
  currency      text,
  reason        text,
  completed_at  timestamptz,
  event_id      text collate "C" not null,
  first_seen_at timestamptz not null,
  updated_at    timestamptz not null default now(),
  field_clocks  jsonb not null,
  constraint card_orders_pkey primary key (order_id),
  constraint card_orders_field_clocks_by_column check (jsonb_typeof(field_clocks) = 'object')
);
create index card_orders_by_card on card_orders (card_id) where card_id is not null;

comment on table card_orders is 'The projection: one row an order, to create or change a card or to move money, as far as UQPAY told of it. Converges like cards.';
comment on column card_orders.order_id is 'UQPAY''s id of the order.';
comment on column card_orders.card_id is 'The card that it is about. NULL where no event names one, such as a creation that failed.';
comment on column card_orders.order_type is 'create, update, status, recharge, withdraw or elevate_limit.';
comment on column card_orders.order_status is 'SUCCESS or FAILED; PENDING and PROCESSING while it is under way; or another word that UQPAY uses. An outcome replaces what is under way, however late that comes.';
comment on column card_orders.amount is 'What was moved, or the limit that was asked for; in currency.';
comment on column card_orders.currency is 'ISO 4217 code of the amount.';
comment on column card_orders.reason is 'Why it failed, in UQPAY''s words.';
comment on column card_orders.completed_at is 'When it was done, where UQPAY says so.';
comment on column card_orders.event_id is 'The event that says the latest of it: see webhook_events.';
comment on column card_orders.first_seen_at is 'When the earliest event about it was signed.';
comment on column card_orders.updated_at is 'When this row was last written.';
comment on column card_orders.field_clocks is 'Which event set which column, as in cards.';

-- From a card all events about its rows are found. From a row to the events that name no card, and back, leads only this.
create table events_without_card (
  table_name text collate "C" not null,
  row_key    text[] collate "C" not null,
  event_id   text collate "C" not null,
  constraint events_without_card_pkey primary key (table_name, row_key, event_id)
);
create index events_without_card_by_event on events_without_card (event_id);

comment on table events_without_card is 'Which rows were told of by an event that names no card: few. Written with the row.';
comment on column events_without_card.table_name is 'The table of the row.';
comment on column events_without_card.row_key is 'The row''s primary key.';
comment on column events_without_card.event_id is 'The event, see webhook_events.';

comment on table transaction_cards is 'Under which cards a transaction or an order was told of, where that are several: next to none.';
comment on column transaction_cards.transaction_id is 'See authorizations and card_orders.';
