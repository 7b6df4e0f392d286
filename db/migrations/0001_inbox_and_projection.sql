-- The whole first schema: the inbox (what was received), the projection (what it means) and the quarantine
-- (what was authentic but could not be taken in).
--
-- Ids are opaque text from outside. They are compared by code points (collation "C"), never by a language's
-- rules: ties between events are broken by event_id, in SQL and in TypeScript alike.

create table webhook_events (
  event_id     text collate "C" not null,
  event_type   text not null,
  event_name   text,
  version      text,
  source_id    text,
  card_id      text collate "C",
  body         text,
  body_sha256  bytea not null,
  signed_at    timestamptz not null,
  received_at  timestamptz not null default now(),
  state        text not null,
  attempts     integer not null default 0,
  last_error   text,
  processed_at timestamptz,
  hinted_at    timestamptz,
  constraint webhook_events_event_id_once primary key (event_id),
  constraint webhook_events_state_is_known check (state in ('received', 'processed', 'ignored', 'failed')),
  constraint webhook_events_failed_has_reason check (state <> 'failed' or last_error is not null),
  constraint webhook_events_attempts_not_negative check (attempts >= 0)
);

-- What waits, oldest first: small, since processed events leave it.
create index webhook_events_waiting on webhook_events (coalesce(hinted_at, received_at)) where state = 'received';
create index webhook_events_failed on webhook_events (received_at) where state = 'failed';
-- A card's story.
create index webhook_events_card on webhook_events (card_id, signed_at) where card_id is not null;
-- Rows arrive in the order of received_at, so a block-range index of a few pages finds a period.
create index webhook_events_received on webhook_events using brin (received_at);
-- What retention has still to drop, oldest first: what it has dropped leaves the index.
create index webhook_events_kept on webhook_events (received_at) where body is not null;

comment on table webhook_events is 'The inbox: one row for each event_id that UQPAY delivered with a right signature. Written before the delivery is answered; the primary key is the deduplication.';
comment on column webhook_events.event_id is 'UQPAY''s id of the event, opaque text.';
comment on column webhook_events.event_type is 'Such as card.status.update.succeeded. Normalised where UQPAY swaps it with event_name.';
comment on column webhook_events.event_name is 'The category, ISSUING in almost all events.';
comment on column webhook_events.version is 'UQPAY''s version of the payload, such as V1.6.0.';
comment on column webhook_events.source_id is 'The order, card or transaction that the event is about, depending on its type.';
comment on column webhook_events.card_id is 'The card that the event is about, where its data names one.';
comment on column webhook_events.body is 'The exact text that was signed, so body::jsonb is the event. NULL for event types that carry a one-time password, an activation code or a key, and after retention.';
comment on column webhook_events.body_sha256 is 'SHA-256 of the body, to tell a redelivery from another event under the same id. For sensitive types a keyed hash (HMAC-SHA256 with the webhook secret), since a plain one of a body with a short code in it would give the code away.';
comment on column webhook_events.signed_at is 'The time in the signed header of the delivery that was stored.';
comment on column webhook_events.received_at is 'When the event was stored, by the database''s clock.';
comment on column webhook_events.state is 'received: waits to be applied; processed: applied; ignored: its type has no handler; failed: given up, see last_error.';
comment on column webhook_events.attempts is 'How often applying it was begun.';
comment on column webhook_events.last_error is 'Why the last attempt failed; NULL once processed.';
comment on column webhook_events.processed_at is 'When its effect was committed.';
comment on column webhook_events.hinted_at is 'When the queue was last told of it after the first time, or the time at which its next attempt is due; NULL for almost all.';

create table quarantined_events (
  id          bigint generated always as identity,
  reason      text not null,
  event_id    text collate "C",
  event_type  text,
  issues      jsonb,
  body        bytea,
  body_sha256 bytea not null,
  signed_at   timestamptz,
  received_at timestamptz not null default now(),
  deliveries  integer not null default 1,
  resolved_at timestamptz,
  resolution  text,
  constraint quarantined_events_pkey primary key (id),
  constraint quarantined_events_once unique (body_sha256, reason),
  constraint quarantined_events_reason_is_known check (reason in ('invalid_json', 'invalid_payload', 'event_id_conflict', 'stale_timestamp')),
  constraint quarantined_events_resolution_is_complete check ((resolved_at is null) = (resolution is null))
);

create index quarantined_events_open on quarantined_events (received_at) where resolved_at is null;
create index quarantined_events_event on quarantined_events (event_id) where event_id is not null;

comment on table quarantined_events is 'Deliveries with a right signature that could not be taken in: kept, so that they can be replayed after a fix. One row however often the same delivery comes.';
comment on column quarantined_events.id is 'Names the row for the operator''s commands.';
comment on column quarantined_events.reason is 'invalid_json: not JSON; invalid_payload: a field is missing or wrong, see issues; event_id_conflict: another content under an event_id that is stored already; stale_timestamp: signed too long ago.';
comment on column quarantined_events.event_id is 'The event''s id, where it could be read.';
comment on column quarantined_events.event_type is 'The event''s type, where it could be read.';
comment on column quarantined_events.issues is 'What is wrong, as [{"path": "data.card_id", "message": "…"}]; NULL unless the reason is invalid_payload.';
comment on column quarantined_events.body is 'The exact bytes that were signed. NULL where they carry a one-time password, an activation code or a key.';
comment on column quarantined_events.body_sha256 is 'SHA-256 of the bytes (keyed where the body is not kept, as in webhook_events).';
comment on column quarantined_events.signed_at is 'The time in the signed header of the first delivery; NULL when the header was no time.';
comment on column quarantined_events.received_at is 'When it came first, by the database''s clock.';
comment on column quarantined_events.deliveries is 'How often it came.';
comment on column quarantined_events.resolved_at is 'When it was dealt with; NULL while it is open.';
comment on column quarantined_events.resolution is 'How it was dealt with.';

create table cards (
  card_id               text collate "C" not null,
  card_number           text,
  card_bin              text,
  card_scheme           text,
  card_product_id       text,
  cardholder_id         text,
  card_currency         text,
  mode_type             text,
  form_factor           text,
  card_status           text,
  status_reason         text,
  status_changed_at     timestamptz,
  observed_status       text,
  observed_status_at    timestamptz,
  card_limit            numeric,
  available_balance     numeric,
  balance_as_of         timestamptz,
  per_transaction_limit numeric,
  spending_controls     jsonb,
  mcc_mode              text generated always as (
    case
      when cardinality(allowed_mcc) > 0 then 'allow'
      when cardinality(blocked_mcc) > 0 then 'block'
      when allowed_mcc is not null then 'none'
    end
  ) stored,
  allowed_mcc           text[],
  blocked_mcc           text[],
  risk_control          jsonb,
  no_pin_payment_amount numeric,
  metadata              jsonb,
  controls_updated_at   timestamptz,
  cancel_requested_at   timestamptz,
  cancelled_at          timestamptz,
  first_seen_at         timestamptz not null,
  last_event_id         text collate "C" not null,
  last_event_at         timestamptz not null,
  updated_at            timestamptz not null default now(),
  field_clocks          jsonb not null,
  constraint cards_pkey primary key (card_id),
  constraint cards_mcc_lists_known_together check ((allowed_mcc is null) = (blocked_mcc is null))
);

create index cards_by_status on cards (card_status);
create index cards_by_cardholder on cards (cardholder_id) where cardholder_id is not null;
-- Where UQPAY's snapshots contradict what it announced: few, and what an operator looks for.
create index cards_contradicted on cards (observed_status_at)
  where observed_status <> card_status and observed_status_at > status_changed_at;

comment on table cards is 'The projection: one row a card, what all events so far say of it. The same events give the same row in any order and any number. NULL is "not known".';
comment on column cards.card_id is 'UQPAY''s id of the card.';
comment on column cards.card_number is 'The masked number, as UQPAY sends it (masks vary).';
comment on column cards.card_bin is 'The bank identification number: the first digits of the card number.';
comment on column cards.card_scheme is 'Such as VISA.';
comment on column cards.card_product_id is 'UQPAY''s id of the card product.';
comment on column cards.cardholder_id is 'UQPAY''s id of the cardholder.';
comment on column cards.card_currency is 'ISO 4217 code; the currency of the card''s amounts.';
comment on column cards.mode_type is 'SINGLE: prepaid; SHARE: spends from the issuing balance.';
comment on column cards.form_factor is 'VIRTUAL or PHYSICAL.';
comment on column cards.card_status is 'PENDING, ACTIVE, FROZEN, BLOCKED, PRE_CANCEL, CANCELLED, FAILED, or a word that UQPAY adds later. CANCELLED and FAILED are final.';
comment on column cards.status_reason is 'The reason that UQPAY gave with the announced status.';
comment on column cards.status_changed_at is 'When the status changed, by UQPAY''s announcement; for a status that was only seen in a snapshot, when the latest of these was signed.';
comment on column cards.observed_status is 'The latest status seen in passing (creation, update, activation). Where it is newer than the announced one and differs, an announcement is late or lost.';
comment on column cards.observed_status_at is 'When observed_status was seen.';
comment on column cards.card_limit is 'The spending limit of the card; 0 on SINGLE cards.';
comment on column cards.available_balance is 'The balance after the latest event that stated one.';
comment on column cards.balance_as_of is 'The time of that event.';
comment on column cards.per_transaction_limit is 'The amount of the spending control with the interval PER_TRANSACTION.';
comment on column cards.spending_controls is 'The card''s spending controls, as [{"amount": "500", "interval": "PER_TRANSACTION"}]; amounts are decimal text.';
comment on column cards.mcc_mode is 'allow: only allowed_mcc passes; block: blocked_mcc does not pass; none: no MCC rule of the card''s own. NULL until the controls are known.';
comment on column cards.allowed_mcc is 'The merchant category codes that may be charged; empty when there is no such rule, NULL until the controls are known.';
comment on column cards.blocked_mcc is 'The merchant category codes that may not be charged; empty when there is no such rule, NULL until the controls are known.';
comment on column cards.risk_control is 'The risk controls as delivered: the two lists and the 3-D Secure switches.';
comment on column cards.no_pin_payment_amount is 'Up to this amount no PIN is asked for; in card_currency.';
comment on column cards.metadata is 'The issuer''s own key-value pairs.';
comment on column cards.controls_updated_at is 'When spending_controls or risk_control was last set.';
comment on column cards.cancel_requested_at is 'When PRE_CANCEL was first seen.';
comment on column cards.cancelled_at is 'When the card was cancelled; NULL unless card_status is CANCELLED.';
comment on column cards.first_seen_at is 'When the earliest event about the card was signed.';
comment on column cards.last_event_id is 'The latest event about the card, in the order of the events'' own times.';
comment on column cards.last_event_at is 'The time of that event.';
comment on column cards.updated_at is 'When this row was last written.';
comment on column cards.field_clocks is 'Which event set which field, one entry for each event that still holds one: {"at", "signed_at", "event_id", "fields"}, and "finality" and "authority" where not 0.';

create table authorizations (
  transaction_id           text collate "C" not null,
  event_id                 text collate "C" not null,
  card_id                  text collate "C" not null,
  cardholder_id            text,
  transaction_type         text,
  transaction_status       text not null,
  description              text,
  transaction_amount       numeric,
  transaction_currency     text,
  billing_amount           numeric,
  billing_currency         text,
  transaction_fee          numeric,
  transaction_fee_currency text,
  authorization_code       text,
  original_transaction_id  text,
  wallet_type              text,
  mcc                      text,
  merchant_name            text,
  merchant_city            text,
  merchant_country         text,
  transaction_time         timestamptz,
  posted_time              timestamptz,
  decline_category         text,
  mcc_declined             boolean not null,
  received_at              timestamptz not null,
  updated_at               timestamptz not null default now(),
  field_clocks             jsonb not null,
  constraint authorizations_pkey primary key (transaction_id),
  constraint authorizations_mcc_is_four_digits check (mcc ~ '^[0-9]{4}$'),
  constraint authorizations_category_is_known check (decline_category in ('mcc', 'cvv', 'limit', 'balance', 'card_status', 'other')),
  constraint authorizations_category_when_declined check ((decline_category is not null) = (transaction_status = 'DECLINED')),
  constraint authorizations_mcc_flag_follows_category check (mcc_declined = (decline_category is not distinct from 'mcc'))
);

create index authorizations_by_card on authorizations (card_id, transaction_time desc);
create index authorizations_by_time on authorizations (transaction_time desc);
create index authorizations_mcc_declined on authorizations (received_at desc) where mcc_declined;

comment on table authorizations is 'The projection: one row a transaction, with its outcome. Converges like cards.';
comment on column authorizations.transaction_id is 'UQPAY''s id of the transaction; where the event has none, its source_id, else its event_id.';
comment on column authorizations.event_id is 'The event that says the latest of it: see webhook_events.';
comment on column authorizations.card_id is 'The card that was charged. May be unknown to cards'' announcements so far.';
comment on column authorizations.cardholder_id is 'UQPAY''s id of the cardholder.';
comment on column authorizations.transaction_type is 'AUTHORIZATION, or another word that UQPAY uses.';
comment on column authorizations.transaction_status is 'APPROVED, DECLINED or PENDING, or another word that UQPAY uses. An outcome replaces PENDING, however late the PENDING comes.';
comment on column authorizations.description is 'UQPAY''s text: the reason of a decline, a remark on an approval.';
comment on column authorizations.transaction_amount is 'What the merchant asked for, in transaction_currency.';
comment on column authorizations.transaction_currency is 'ISO 4217 code.';
comment on column authorizations.billing_amount is 'What the card is charged, in billing_currency; 0 on a decline.';
comment on column authorizations.billing_currency is 'ISO 4217 code.';
comment on column authorizations.transaction_fee is 'UQPAY''s fee, in transaction_fee_currency.';
comment on column authorizations.transaction_fee_currency is 'ISO 4217 code.';
comment on column authorizations.authorization_code is 'The code that the merchant received; NULL on a decline.';
comment on column authorizations.original_transaction_id is 'The transaction that this one refers to.';
comment on column authorizations.wallet_type is 'Such as ApplePay or GooglePay; NULL without a wallet.';
comment on column authorizations.mcc is 'The merchant category code: four digits as text.';
comment on column authorizations.merchant_name is 'As the acquirer writes it.';
comment on column authorizations.merchant_city is 'As the acquirer writes it.';
comment on column authorizations.merchant_country is 'As the acquirer writes it.';
comment on column authorizations.transaction_time is 'When the card was used. NULL in abbreviated events.';
comment on column authorizations.posted_time is 'When UQPAY booked it.';
comment on column authorizations.decline_category is 'What the description speaks of: mcc, cvv, limit, balance, card_status, or other for words that are not recognised. NULL when not declined.';
comment on column authorizations.mcc_declined is 'Declined, and the description speaks of the merchant category code.';
comment on column authorizations.received_at is 'When the first event about it was stored.';
comment on column authorizations.updated_at is 'When this row was last written.';
comment on column authorizations.field_clocks is 'Which event set which field, as in cards.';

create view mcc_declines as
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
    when c.mcc_mode is null then 'unknown'
    when a.mcc = any (c.blocked_mcc) then 'card'
    when c.mcc_mode = 'allow' and a.mcc <> all (c.allowed_mcc) then 'card'
    else 'account'
  end as rule_scope
from authorizations a
left join cards c using (card_id)
where a.mcc_declined;

comment on view mcc_declines is 'The authorizations that were declined for their merchant category code, with the card''s own rules beside them as they are known now.';
comment on column mcc_declines.transaction_id is 'See authorizations.';
comment on column mcc_declines.event_id is 'See authorizations.';
comment on column mcc_declines.card_id is 'See authorizations.';
comment on column mcc_declines.cardholder_id is 'See authorizations.';
comment on column mcc_declines.transaction_type is 'See authorizations.';
comment on column mcc_declines.transaction_status is 'Always DECLINED.';
comment on column mcc_declines.description is 'UQPAY''s text for the decline.';
comment on column mcc_declines.transaction_amount is 'What the merchant asked for, in transaction_currency.';
comment on column mcc_declines.transaction_currency is 'ISO 4217 code.';
comment on column mcc_declines.billing_amount is 'See authorizations; 0 on a decline.';
comment on column mcc_declines.billing_currency is 'ISO 4217 code.';
comment on column mcc_declines.transaction_fee is 'See authorizations.';
comment on column mcc_declines.transaction_fee_currency is 'ISO 4217 code.';
comment on column mcc_declines.authorization_code is 'See authorizations; NULL on a decline.';
comment on column mcc_declines.original_transaction_id is 'See authorizations.';
comment on column mcc_declines.wallet_type is 'See authorizations.';
comment on column mcc_declines.mcc is 'The merchant category code that was declined.';
comment on column mcc_declines.merchant_name is 'See authorizations.';
comment on column mcc_declines.merchant_city is 'See authorizations.';
comment on column mcc_declines.merchant_country is 'See authorizations.';
comment on column mcc_declines.transaction_time is 'When the card was used. NULL in abbreviated events.';
comment on column mcc_declines.posted_time is 'See authorizations.';
comment on column mcc_declines.decline_category is 'Always mcc.';
comment on column mcc_declines.mcc_declined is 'Always true.';
comment on column mcc_declines.received_at is 'When the first event about it was stored.';
comment on column mcc_declines.updated_at is 'When the authorization''s row was last written.';
comment on column mcc_declines.card_status is 'The card''s status as it is known now.';
comment on column mcc_declines.allowed_mcc is 'The card''s own list as it is known now.';
comment on column mcc_declines.blocked_mcc is 'The card''s own list as it is known now.';
comment on column mcc_declines.rule_scope is 'card: the card''s own list explains the decline; account: the card''s rules are known and do not; unknown: they were never seen.';
