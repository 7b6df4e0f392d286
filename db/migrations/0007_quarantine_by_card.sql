-- An operator asks the quarantine by card, and for what still comes. A process of the version before this one writes
-- neither column: its entries have no card, and the time of their first delivery as that of the last.

alter table quarantined_events add column card_id text collate "C";
alter table quarantined_events add column last_received_at timestamptz;
update quarantined_events set last_received_at = received_at;
alter table quarantined_events alter column last_received_at set default now();
alter table quarantined_events alter column last_received_at set not null;
comment on column quarantined_events.card_id is 'The card that the event is about, where its data names one that could be read.';
comment on column quarantined_events.last_received_at is 'When it came last, by the database''s clock; as received_at where it came once.';

-- The card of what is in quarantine already. Row by row: a body that is no JSON for PostgreSQL (a NUL in a text, lists in
-- lists without end) must not stop the others.
do $$
declare
  kept record;
  data json;
begin
  for kept in
    select id, body from quarantined_events where body is not null and reason <> 'invalid_json'
  loop
    begin
      data := convert_from(kept.body, 'UTF8')::json -> 'data';
      if json_typeof(data -> 'card_id') = 'string' and char_length(data ->> 'card_id') between 1 and 255 then
        update quarantined_events set card_id = data ->> 'card_id' where id = kept.id;
      end if;
    exception when others then
      null;
    end;
  end loop;
end
$$;

create index quarantined_events_card on quarantined_events (card_id) where card_id is not null;

-- A card number that came in the clear is masked before it is stored. What was stored before becomes as it would be now:
-- the first six digits and the last four, the first eight of a number of sixteen or more where the card's BIN is that long.
update cards
set card_number = left(digits, shown) || repeat('*', length(digits) - shown - 4) || right(digits, 4)
from (
  select card_id, digits,
    case when length(card_bin) = 8 and length(digits) >= 16 and starts_with(digits, card_bin) then 8 else 6 end as shown
  from cards, translate(card_number, ' -', '') as digits
  where card_number ~ '^[0-9 -]{12,}$' and length(digits) between 12 and 19
) as clear
where cards.card_id = clear.card_id;
comment on column cards.card_number is 'The masked number, as UQPAY sends it (masks vary). One that comes in the clear is masked before it is stored: first six or eight digits and last four.';

-- An event that names no merchant category code cannot tell whose rule it was.
create or replace view mcc_declines as
select
  a.transaction_id,
  a.event_id,
  a.card_id,
  a.cardholder_id,
  a.transaction_type,
  a.transaction_status,
  a.description,
  a.transaction_amount,
  a.transaction_currency,
  a.billing_amount,
  a.billing_currency,
  a.transaction_fee,
  a.transaction_fee_currency,
  a.authorization_code,
  a.original_transaction_id,
  a.wallet_type,
  a.mcc,
  a.merchant_name,
  a.merchant_city,
  a.merchant_country,
  a.transaction_time,
  a.posted_time,
  a.decline_category,
  a.mcc_declined,
  a.received_at,
  a.updated_at,
  c.card_status,
  c.allowed_mcc,
  c.blocked_mcc,
  case
    when c.mcc_mode is null or a.mcc is null then 'unknown'
    when a.mcc = any (c.blocked_mcc) then 'card'
    when c.mcc_mode = 'allow' and a.mcc <> all (c.allowed_mcc) then 'card'
    else 'account'
  end as rule_scope
from authorizations a
left join cards c using (card_id)
where a.mcc_declined;
comment on column mcc_declines.rule_scope is 'card: the card''s own list explains the decline; account: the card''s rules are known and do not; unknown: they were never seen, or the event names no merchant category code.';
