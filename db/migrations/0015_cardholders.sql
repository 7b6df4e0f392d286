-- The status of cardholders, and nothing else of them. Empty at first: from now on their events are applied, and those that
-- were stored as ignored become part of it, and lose their bodies, by `replay --state ignored`.
create table cardholders (
  cardholder_id     text collate "C" not null,
  cardholder_status text,
  idv_status        text,
  status_changed_at timestamptz,
  event_id          text collate "C" not null,
  updated_at        timestamptz not null default now(),
  field_clocks      jsonb not null,
  constraint cardholders_pkey primary key (cardholder_id),
  constraint cardholders_field_clocks_by_column check (jsonb_typeof(field_clocks) = 'object')
);

comment on table cardholders is 'The projection: one row a cardholder, with its status. No name, address, number or date of birth. The bodies of its events are not kept, so verify and rebuild take it as it is.';
comment on column cardholders.cardholder_id is 'UQPAY''s id of the cardholder.';
comment on column cardholders.cardholder_status is 'SUCCESS, FAILED, INCOMPLETE or PENDING, or another word that UQPAY uses.';
comment on column cardholders.idv_status is 'How the identity check stands, in UQPAY''s words, such as PASSED.';
comment on column cardholders.status_changed_at is 'When UQPAY last announced a change of status; where it never did, when the status was last seen.';
comment on column cardholders.event_id is 'The event that says the latest of it: see webhook_events.';
comment on column cardholders.updated_at is 'When this row was last written.';
comment on column cardholders.field_clocks is 'Which event set which column, as in cards.';

comment on column webhook_events.body is 'The exact text that was signed, so body::jsonb is the event (behind a byte order mark, where one was sent). NULL for event types that carry a one-time password, an activation code or a key, and after retention; for events about a cardholder once they are applied, and until then no more than status and time. A card number that came in the clear is masked in it, and for a security code it has null.';
comment on column quarantined_events.body is 'The exact bytes that were signed, but for card numbers in the clear, security codes and what tells of a cardholder (see webhook_events). NULL where they carry a one-time password, an activation code or a key, or cannot be read and seem to tell of a cardholder.';
