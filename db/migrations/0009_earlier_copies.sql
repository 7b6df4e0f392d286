-- An event counts as signed when the earliest of its copies was signed, whichever came first: else the rows would depend
-- on the order of deliveries. A copy that comes after its event was applied, or while a worker has the event in hand, is
-- noted here, since its answer must not wait for the worker's locks. The worker then lowers signed_at and computes the
-- card anew in one transaction. New and empty: an earlier build knows nothing of it and is not held up by it.
create table earlier_copies (
  id        bigint generated always as identity,
  event_id  text collate "C" not null,
  signed_at timestamptz not null,
  received_at  timestamptz not null default now(),
  taken_at  timestamptz,
  constraint earlier_copies_pkey primary key (id)
);

-- What is still to be done: next to nothing, since what was taken leaves both.
create index earlier_copies_waiting on earlier_copies (received_at) where taken_at is null;
create index earlier_copies_waiting_of_event on earlier_copies (event_id) where taken_at is null;

comment on table earlier_copies is 'Copies that were signed earlier than webhook_events said when they came. Each is taken once: then signed_at is lowered and the rows of the card are computed anew.';
comment on column earlier_copies.id is 'Counts up.';
comment on column earlier_copies.event_id is 'The event, see webhook_events.';
comment on column earlier_copies.signed_at is 'The time in the signed header of the copy.';
comment on column earlier_copies.received_at is 'When the copy came, by the database''s clock.';
comment on column earlier_copies.taken_at is 'When its effect was committed; NULL while it waits.';

-- To compute a transaction anew, all events about it must be found. Its row names only those that still hold a field.
create table transaction_cards (
  transaction_id text collate "C" not null,
  card_id        text collate "C" not null,
  constraint transaction_cards_pkey primary key (transaction_id, card_id)
);

comment on table transaction_cards is 'Under which cards a transaction was told of, where that are several: next to none.';
comment on column transaction_cards.transaction_id is 'See authorizations.';
comment on column transaction_cards.card_id is 'One of its cards, see webhook_events.';

comment on column webhook_events.signed_at is 'The earliest time in the signed headers of all copies that were delivered, stale ones too. Of an event of which no copy has a readable time: when it was received.';
comment on column quarantined_events.signed_at is 'The earliest time in the signed headers of its deliveries; NULL when none was a time.';

-- What earlier builds have not looked at: stale copies of events that were stored.
insert into earlier_copies (event_id, signed_at)
select event.event_id, min(quarantined.signed_at)
from quarantined_events quarantined
join webhook_events event on event.event_id = quarantined.event_id and event.body_sha256 = quarantined.body_sha256
where quarantined.signed_at < event.signed_at
group by event.event_id;
