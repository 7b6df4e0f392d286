-- The schema as all migrations leave it, for reading. Written by `npm run schema`; change it by a migration.

-- How many calls of UQPAY's API may be sent, for all instances together: one row, by the database's clock.
create table api_budget (
  -- Always true: there is one row.
  is_only boolean not null default true,
  -- When the calls that were taken count no longer. A call may be taken while this is at most some calls ahead.
  emptied_at timestamp with time zone not null default '-infinity'::timestamp with time zone,
  -- Before this no call is sent: UQPAY has answered 429.
  closed_until timestamp with time zone not null default '-infinity'::timestamp with time zone,
  constraint api_budget_pkey PRIMARY KEY (is_only),
  constraint api_budget_has_one_row CHECK (is_only)
);

-- The projection: one row an order, to create or change a card or to move money, as far as UQPAY told of it. Converges like cards.
create table card_orders (
  -- UQPAY's id of the order.
  order_id text collate "C" not null,
  -- The card that it is about. NULL where no event names one, such as a creation that failed.
  card_id text collate "C",
  -- create, update, status, recharge, withdraw or elevate_limit.
  order_type text not null,
  -- SUCCESS or FAILED; PENDING and PROCESSING while it is under way; or another word that UQPAY uses. An outcome replaces what is under way, however late that comes.
  order_status text not null,
  -- What was moved, or the limit that was asked for; in currency.
  amount numeric,
  -- ISO 4217 code of the amount.
  currency text,
  -- Why it failed, in UQPAY's words.
  reason text,
  -- When it was done, where UQPAY says so.
  completed_at timestamp with time zone,
  -- The event that says the latest of it: see webhook_events.
  event_id text collate "C" not null,
  -- When the earliest event about it was signed.
  first_seen_at timestamp with time zone not null,
  -- When this row was last written.
  updated_at timestamp with time zone not null default now(),
  -- Which event set which column, as in cards.
  field_clocks jsonb not null,
  constraint card_orders_pkey PRIMARY KEY (order_id),
  constraint card_orders_field_clocks_by_column CHECK ((jsonb_typeof(field_clocks) = 'object'::text))
);
CREATE INDEX card_orders_by_card ON public.card_orders USING btree (card_id) WHERE (card_id IS NOT NULL);

-- The projection: one row a cardholder, with its status. No name, address, number or date of birth. The bodies of its events are not kept, so verify and rebuild take it as it is.
create table cardholders (
  -- UQPAY's id of the cardholder.
  cardholder_id text collate "C" not null,
  -- SUCCESS, FAILED, INCOMPLETE or PENDING, or another word that UQPAY uses.
  cardholder_status text,
  -- How the identity check stands, in UQPAY's words, such as PASSED.
  idv_status text,
  -- When UQPAY last announced a change of status; where it never did, when the status was last seen.
  status_changed_at timestamp with time zone,
  -- The event that says the latest of it: see webhook_events.
  event_id text collate "C" not null,
  -- When this row was last written.
  updated_at timestamp with time zone not null default now(),
  -- Which event set which column, as in cards.
  field_clocks jsonb not null,
  constraint cardholders_pkey PRIMARY KEY (cardholder_id),
  constraint cardholders_field_clocks_by_column CHECK ((jsonb_typeof(field_clocks) = 'object'::text))
);

-- The projection: one row a card, what all events so far say of it. The same events give the same row in any order and any number. NULL is "not known".
create table cards (
  -- UQPAY's id of the card.
  card_id text collate "C" not null,
  -- The masked number, as UQPAY sends it (masks vary). One that comes in the clear is masked before it is stored: first six or eight digits and last four.
  card_number text,
  -- The bank identification number: the first digits of the card number.
  card_bin text,
  -- Such as VISA.
  card_scheme text,
  -- UQPAY's id of the card product.
  card_product_id text,
  -- UQPAY's id of the cardholder.
  cardholder_id text,
  -- ISO 4217 code; the currency of the card's amounts.
  card_currency text,
  -- SINGLE: prepaid; SHARE: spends from the issuing balance.
  mode_type text,
  -- VIRTUAL or PHYSICAL.
  form_factor text,
  -- PENDING, ACTIVE, FROZEN, BLOCKED, PRE_CANCEL, CANCELLED, FAILED, or a word that UQPAY adds later. CANCELLED and FAILED are final.
  card_status text,
  -- The reason that UQPAY gave with the announced status.
  status_reason text,
  -- When the status changed, by UQPAY's announcement; for a status that was only seen in a snapshot, when the latest of these was signed.
  status_changed_at timestamp with time zone,
  -- The latest status seen in passing (creation, update, activation). Where it is newer than the announced one and differs, an announcement is late or lost.
  observed_status text,
  -- When observed_status was seen.
  observed_status_at timestamp with time zone,
  -- The spending limit of the card; 0 on SINGLE cards.
  card_limit numeric,
  -- The balance after the latest event that stated one; it may be negative. Of a cancelled SINGLE card: what was stated last, which UQPAY has returned or will return, and of which no event tells. Not money on the card.
  available_balance numeric,
  -- The time of that event; of a transaction, when UQPAY booked it.
  balance_as_of timestamp with time zone,
  -- The amount of the spending control with the interval PER_TRANSACTION.
  per_transaction_limit numeric,
  -- The card's spending controls, as [{"amount": "500", "interval": "PER_TRANSACTION"}]; amounts are decimal text.
  spending_controls jsonb,
  -- allow: only allowed_mcc passes; block: blocked_mcc does not pass; none: no MCC rule of the card's own. NULL until the controls are known.
  mcc_mode text,
  -- The merchant category codes that may be charged; empty when there is no such rule, NULL until the controls are known.
  allowed_mcc text[],
  -- The merchant category codes that may not be charged; empty when there is no such rule, NULL until the controls are known.
  blocked_mcc text[],
  -- The risk controls as delivered: the two lists and the 3-D Secure switches.
  risk_control jsonb,
  -- Up to this amount no PIN is asked for; in card_currency.
  no_pin_payment_amount numeric,
  -- The issuer's own key-value pairs.
  metadata jsonb,
  -- When spending_controls or risk_control was last set.
  controls_updated_at timestamp with time zone,
  -- When PRE_CANCEL was first seen.
  cancel_requested_at timestamp with time zone,
  -- When the card was cancelled; NULL unless card_status is CANCELLED.
  cancelled_at timestamp with time zone,
  -- When the earliest event about the card was signed.
  first_seen_at timestamp with time zone not null,
  -- The latest event about the card, in the order of the events' own times.
  last_event_id text collate "C" not null,
  -- The time of that event.
  last_event_at timestamp with time zone not null,
  -- When this row was last written.
  updated_at timestamp with time zone not null default now(),
  -- Which event set which column, by column: {"card_status": {"event_id": "…", "at": "…", "signed_at": "…"}, …}, and "finality" and "authority" where not 0. Columns that follow from others have none. at is the event's own time, else the time of signing.
  field_clocks jsonb not null,
  -- A snapshot showed another status (observed_status) than the one that stands (card_status), and later: an announcement is late or was lost.
  status_contradicted boolean not null default false,
  -- The limit of a single transaction as it was raised for a while, in card_currency. It stays here when that is over: see elevated_limit_until.
  elevated_limit numeric,
  -- Until when elevated_limit holds; no event tells of the end.
  elevated_limit_until timestamp with time zone,
  -- When the latest event was signed that told of too many wrong PINs. Nothing tells when such a block is over, so nothing clears it.
  pin_blocked_at timestamp with time zone,
  -- Whether the network refuses the card's number, as {"status": "ENROLLED", "enabled": true, "action_code": "41", "update_time": "…"}; what an event did not state is null.
  network_protection jsonb,
  constraint cards_pkey PRIMARY KEY (card_id),
  constraint cards_field_clocks_by_column CHECK ((jsonb_typeof(field_clocks) = 'object'::text)),
  constraint cards_mcc_lists_known_together CHECK (((allowed_mcc IS NULL) = (blocked_mcc IS NULL)))
) with (fillfactor=70);
CREATE INDEX cards_by_cardholder ON public.cards USING btree (cardholder_id) WHERE (cardholder_id IS NOT NULL);
CREATE INDEX cards_by_status ON public.cards USING btree (card_status);
CREATE INDEX cards_contradicted ON public.cards USING btree (card_id) WHERE status_contradicted;

-- Copies that were signed earlier than webhook_events said when they came. Each is taken once: then signed_at is lowered and the rows of the card are computed anew.
create table earlier_copies (
  -- Counts up.
  id bigint generated always as identity,
  -- The event, see webhook_events.
  event_id text collate "C" not null,
  -- The time in the signed header of the copy.
  signed_at timestamp with time zone not null,
  -- When the copy came, by the database's clock.
  received_at timestamp with time zone not null default now(),
  -- When its effect was committed; NULL while it waits.
  taken_at timestamp with time zone,
  constraint earlier_copies_pkey PRIMARY KEY (id)
);
CREATE INDEX earlier_copies_waiting ON public.earlier_copies USING btree (received_at) WHERE (taken_at IS NULL);
CREATE INDEX earlier_copies_waiting_of_event ON public.earlier_copies USING btree (event_id) WHERE (taken_at IS NULL);

-- Which rows were told of by an event that names no card: few. Written with the row.
create table events_without_card (
  -- The table of the row.
  table_name text collate "C" not null,
  -- The row's primary key.
  row_key text[] collate "C" not null,
  -- The event, see webhook_events.
  event_id text collate "C" not null,
  constraint events_without_card_pkey PRIMARY KEY (table_name, row_key, event_id)
);
CREATE INDEX events_without_card_by_event ON public.events_without_card USING btree (event_id);

-- Deliveries with a right signature that could not be taken in: kept, so that they can be replayed after a fix. One row however often the same delivery comes.
create table quarantined_events (
  -- Names the row for the operator's commands.
  id bigint generated always as identity,
  -- invalid_json: not JSON; invalid_payload: a field is missing or wrong, see issues; event_id_conflict: another content under an event_id that is stored already; stale_timestamp: signed too long ago.
  reason text not null,
  -- The event's id, where it could be read.
  event_id text collate "C",
  -- The event's type, where it could be read.
  event_type text,
  -- What is wrong, as [{"path": "data.card_id", "message": "…"}]; NULL unless the reason is invalid_payload.
  issues jsonb,
  -- The exact bytes that were signed, but for card numbers in the clear, security codes and what tells of a cardholder (see webhook_events). NULL where they carry a one-time password, an activation code or a key, or cannot be read and seem to tell of a cardholder.
  body bytea,
  -- SHA-256 of the bytes as they were signed (keyed where the body is not kept as such, as in webhook_events).
  body_sha256 bytea not null,
  -- The earliest time in the signed headers of its deliveries; NULL when none was a time.
  signed_at timestamp with time zone,
  -- When it came first, by the database's clock.
  received_at timestamp with time zone not null default now(),
  -- How often it came.
  deliveries integer not null default 1,
  -- When it was dealt with; NULL while it is open.
  resolved_at timestamp with time zone,
  -- How it was dealt with.
  resolution text,
  -- The card that the event is about, where its data names one that could be read.
  card_id text collate "C",
  -- When it came last, by the database's clock; as received_at where it came once.
  last_received_at timestamp with time zone not null default now(),
  constraint quarantined_events_once UNIQUE (body_sha256, reason),
  constraint quarantined_events_pkey PRIMARY KEY (id),
  constraint quarantined_events_reason_is_known CHECK ((reason = ANY (ARRAY['invalid_json'::text, 'invalid_payload'::text, 'event_id_conflict'::text, 'stale_timestamp'::text]))),
  constraint quarantined_events_resolution_is_complete CHECK (((resolved_at IS NULL) = (resolution IS NULL)))
);
CREATE INDEX quarantined_events_card ON public.quarantined_events USING btree (card_id) WHERE (card_id IS NOT NULL);
CREATE INDEX quarantined_events_event ON public.quarantined_events USING btree (event_id) WHERE (event_id IS NOT NULL);
CREATE INDEX quarantined_events_open ON public.quarantined_events USING btree (received_at) WHERE (resolved_at IS NULL);

-- Under which cards a transaction or an order was told of, where that are several: next to none.
create table transaction_cards (
  -- See transactions and card_orders.
  transaction_id text collate "C" not null,
  -- One of its cards, see webhook_events.
  card_id text collate "C" not null,
  constraint transaction_cards_pkey PRIMARY KEY (transaction_id, card_id)
);

-- The projection: one row a transaction and kind, with its outcome. Converges like cards.
create table transactions (
  -- UQPAY's id of the transaction; where the event has none, its source_id, else its event_id.
  transaction_id text collate "C" not null,
  -- The event that says the latest of it: see webhook_events.
  event_id text collate "C" not null,
  -- The card that it is about; NULL where the event names none. May be unknown to cards' announcements so far.
  card_id text collate "C",
  -- UQPAY's id of the cardholder.
  cardholder_id text,
  -- AUTHORIZATION, REFUND, SETTLEMENT DEBIT, FEE, or another word that UQPAY uses.
  transaction_type text,
  -- APPROVED, DECLINED or PENDING, or another word that UQPAY uses. An outcome replaces PENDING, however late the PENDING comes.
  transaction_status text not null,
  -- UQPAY's text: the reason of a decline, a remark on an approval.
  description text,
  -- What the merchant asked for or gave back, in transaction_currency.
  transaction_amount numeric,
  -- ISO 4217 code.
  transaction_currency text,
  -- What the card is charged or given back, in billing_currency; 0 on a decline. UQPAY does not say what its sign means: kind says which way the money goes.
  billing_amount numeric,
  -- ISO 4217 code.
  billing_currency text,
  -- UQPAY's fee, in transaction_fee_currency.
  transaction_fee numeric,
  -- ISO 4217 code.
  transaction_fee_currency text,
  -- The code that the merchant received; NULL on a decline.
  authorization_code text,
  -- The transaction that this one undoes, settles or refunds. It may be one that no event told of.
  original_transaction_id text,
  -- Such as ApplePay or GooglePay; NULL without a wallet.
  wallet_type text,
  -- The merchant category code: four digits as text.
  mcc text,
  -- As the acquirer writes it.
  merchant_name text,
  -- As the acquirer writes it.
  merchant_city text,
  -- As the acquirer writes it.
  merchant_country text,
  -- When the card was used. NULL in abbreviated events.
  transaction_time timestamp with time zone,
  -- When UQPAY booked it.
  posted_time timestamp with time zone,
  -- Of an authorization, what the description speaks of: mcc, cvv, limit, balance, card_status, or other for words that are not recognised. NULL when not declined, and of every other kind.
  decline_category text,
  -- An authorization that was declined, and the description speaks of the merchant category code.
  mcc_declined boolean not null,
  -- When the first event about it was stored.
  received_at timestamp with time zone not null,
  -- When this row was last written.
  updated_at timestamp with time zone not null default now(),
  -- Which event set which column, as in cards.
  field_clocks jsonb not null,
  -- What of the transaction it is: the last words of the event type, such as authorization, reversal, refund, settlement.debit, fee, network_protection_fee.
  kind text collate "C" not null,
  -- UQPAY's id of the account, where the event names one: that of a fee that is no card's.
  account_id text,
  -- UQPAY's short id of the transaction, as its dashboard shows it.
  short_transaction_id text,
  -- UQPAY's id of the entry in its ledger.
  reference_id text,
  -- UQPAY's text for a fee.
  remark text,
  -- Y: the fee came off the card, and billing_amount includes it; N: the account paid it.
  fee_pass_through text,
  -- The card's balance after it, as the event states it. cards.available_balance is the latest of these and of those that other events state.
  card_available_balance numeric,
  constraint transactions_pkey PRIMARY KEY (transaction_id, kind),
  constraint transactions_category_is_known CHECK ((decline_category = ANY (ARRAY['mcc'::text, 'cvv'::text, 'limit'::text, 'balance'::text, 'card_status'::text, 'other'::text]))),
  constraint transactions_category_when_declined CHECK (((decline_category IS NOT NULL) = ((kind = 'authorization'::text) AND (transaction_status = 'DECLINED'::text)))),
  constraint transactions_field_clocks_by_column CHECK ((jsonb_typeof(field_clocks) = 'object'::text)),
  constraint transactions_mcc_flag_follows_category CHECK ((mcc_declined = (NOT (decline_category IS DISTINCT FROM 'mcc'::text)))),
  constraint transactions_mcc_is_four_digits CHECK (((octet_length(mcc) = 4) AND (translate(mcc, '0123456789'::text, ''::text) = ''::text)))
);
CREATE INDEX transactions_by_card ON public.transactions USING btree (card_id, transaction_time DESC);
CREATE INDEX transactions_by_original ON public.transactions USING btree (original_transaction_id) WHERE (original_transaction_id IS NOT NULL);
CREATE INDEX transactions_by_time ON public.transactions USING btree (transaction_time);
CREATE INDEX transactions_mcc_declined ON public.transactions USING btree (received_at) WHERE mcc_declined;
CREATE INDEX transactions_of_original ON public.transactions USING btree (original_transaction_id COLLATE "C", kind) WHERE (original_transaction_id IS NOT NULL);

-- The inbox: one row for each event_id that UQPAY delivered with a right signature. Written before the delivery is answered; the primary key is the deduplication.
create table webhook_events (
  -- UQPAY's id of the event, opaque text.
  event_id text collate "C" not null,
  -- Such as card.status.update.succeeded. Normalised where UQPAY swaps it with event_name.
  event_type text not null,
  -- The category, ISSUING in almost all events.
  event_name text,
  -- UQPAY's version of the payload, such as V1.6.0.
  version text,
  -- The order, card or transaction that the event is about, depending on its type.
  source_id text,
  -- The card that the event is about, where its data names one.
  card_id text collate "C",
  -- The exact text that was signed, so body::jsonb is the event (behind a byte order mark, where one was sent). NULL for event types that carry a one-time password, an activation code or a key, and after retention; for events about a cardholder once they are applied, and until then no more than status and time. A card number that came in the clear is masked in it, and for a security code it has null.
  body text,
  -- SHA-256 of the body as it was signed, to tell a redelivery from another event under the same id. Where the body is not kept, or not as it was signed, a keyed hash (HMAC-SHA256 with the webhook secret), since a plain one would give a short code away.
  body_sha256 bytea not null,
  -- The earliest time in the signed headers of all copies that were delivered, stale ones too. Of an event of which no copy has a readable time: when it was received.
  signed_at timestamp with time zone not null,
  -- When the event was stored, by the database's clock.
  received_at timestamp with time zone not null default now(),
  -- received: waits to be applied; processed: applied; ignored: its type has no handler; failed: given up, see last_error.
  state text not null,
  -- How often applying it was begun.
  attempts integer not null default 0,
  -- Why the last attempt failed; NULL once processed.
  last_error text,
  -- When its effect was committed.
  processed_at timestamp with time zone,
  -- When the queue was last told of it after the first time, or the time at which its next attempt is due; NULL for almost all.
  hinted_at timestamp with time zone,
  -- Optional fields that could not be read and count as not stated, as [{"path": "data.available_balance", "message": "…"}]; NULL where all could. No message repeats a value.
  issues jsonb,
  constraint webhook_events_event_id_once PRIMARY KEY (event_id),
  constraint webhook_events_attempts_not_negative CHECK ((attempts >= 0)),
  constraint webhook_events_failed_has_reason CHECK (((state <> 'failed'::text) OR (last_error IS NOT NULL))),
  constraint webhook_events_state_is_known CHECK ((state = ANY (ARRAY['received'::text, 'processed'::text, 'ignored'::text, 'failed'::text])))
) with (autovacuum_vacuum_scale_factor=0.05);
CREATE INDEX webhook_events_card ON public.webhook_events USING btree (card_id) WHERE (card_id IS NOT NULL);
CREATE INDEX webhook_events_failed ON public.webhook_events USING btree (received_at) WHERE (state = 'failed'::text);
CREATE INDEX webhook_events_kept ON public.webhook_events USING btree (received_at) WHERE (body IS NOT NULL);
CREATE INDEX webhook_events_received ON public.webhook_events USING brin (received_at);
CREATE INDEX webhook_events_waiting ON public.webhook_events USING btree (COALESCE(hinted_at, received_at)) WHERE (state = 'received'::text);
CREATE INDEX webhook_events_without_body ON public.webhook_events USING btree (received_at) WHERE (body IS NULL);

-- The authorizations among the transactions, one row a transaction, with the sums of what became of each. A sum is over the approved transactions of its kind that name the authorization as their original, in billing_currency; NULL where there is none. UQPAY does not say how the three kinds of settlement add up, so each stands for itself.
--   transaction_id: UQPAY's id of the transaction; where the event has none, its source_id, else its event_id.
--   event_id: The event that says the latest of it: see webhook_events.
--   card_id: The card that it is about; NULL where the event names none. May be unknown to cards' announcements so far.
--   cardholder_id: UQPAY's id of the cardholder.
--   transaction_type: AUTHORIZATION, REFUND, SETTLEMENT DEBIT, FEE, or another word that UQPAY uses.
--   transaction_status: APPROVED, DECLINED or PENDING, or another word that UQPAY uses. An outcome replaces PENDING, however late the PENDING comes.
--   description: UQPAY's text: the reason of a decline, a remark on an approval.
--   transaction_amount: What the merchant asked for or gave back, in transaction_currency.
--   transaction_currency: ISO 4217 code.
--   billing_amount: What the card is charged or given back, in billing_currency; 0 on a decline. UQPAY does not say what its sign means: kind says which way the money goes.
--   billing_currency: ISO 4217 code.
--   transaction_fee: UQPAY's fee, in transaction_fee_currency.
--   transaction_fee_currency: ISO 4217 code.
--   authorization_code: The code that the merchant received; NULL on a decline.
--   original_transaction_id: The transaction that this one undoes, settles or refunds. It may be one that no event told of.
--   wallet_type: Such as ApplePay or GooglePay; NULL without a wallet.
--   mcc: The merchant category code: four digits as text.
--   merchant_name: As the acquirer writes it.
--   merchant_city: As the acquirer writes it.
--   merchant_country: As the acquirer writes it.
--   transaction_time: When the card was used. NULL in abbreviated events.
--   posted_time: When UQPAY booked it.
--   decline_category: Of an authorization, what the description speaks of: mcc, cvv, limit, balance, card_status, or other for words that are not recognised. NULL when not declined, and of every other kind.
--   mcc_declined: An authorization that was declined, and the description speaks of the merchant category code.
--   received_at: When the first event about it was stored.
--   updated_at: When this row was last written.
--   field_clocks: Which event set which column, as in cards.
--   settled_amount: The sum of the settlements (settlement.debit), in billing_currency; NULL where none is known.
--   settlement_credited_amount: The sum of what was settled to the card's credit (settlement.credit), in billing_currency; NULL where none is known.
--   settlement_reversed_amount: The sum of the settlements that were undone (settlement.reversal), in billing_currency; NULL where none is known.
--   reversed_amount: The sum of what was undone (reversal), in billing_currency; NULL where none is known.
--   refunded_amount: The sum of what the merchant gave back (refund), in billing_currency; NULL where none is known.
create view authorizations as
SELECT transaction_id,
    event_id,
    card_id,
    cardholder_id,
    transaction_type,
    transaction_status,
    description,
    transaction_amount,
    transaction_currency,
    billing_amount,
    billing_currency,
    transaction_fee,
    transaction_fee_currency,
    authorization_code,
    original_transaction_id,
    wallet_type,
    mcc,
    merchant_name,
    merchant_city,
    merchant_country,
    transaction_time,
    posted_time,
    decline_category,
    mcc_declined,
    received_at,
    updated_at,
    field_clocks,
    ( SELECT sum(t.billing_amount) AS sum
           FROM transactions t
          WHERE ((t.original_transaction_id = a.transaction_id) AND (t.kind = 'settlement.debit'::text) AND (t.transaction_status = 'APPROVED'::text) AND (t.billing_currency = a.billing_currency))) AS settled_amount,
    ( SELECT sum(t.billing_amount) AS sum
           FROM transactions t
          WHERE ((t.original_transaction_id = a.transaction_id) AND (t.kind = 'settlement.credit'::text) AND (t.transaction_status = 'APPROVED'::text) AND (t.billing_currency = a.billing_currency))) AS settlement_credited_amount,
    ( SELECT sum(t.billing_amount) AS sum
           FROM transactions t
          WHERE ((t.original_transaction_id = a.transaction_id) AND (t.kind = 'settlement.reversal'::text) AND (t.transaction_status = 'APPROVED'::text) AND (t.billing_currency = a.billing_currency))) AS settlement_reversed_amount,
    ( SELECT sum(t.billing_amount) AS sum
           FROM transactions t
          WHERE ((t.original_transaction_id = a.transaction_id) AND (t.kind = 'reversal'::text) AND (t.transaction_status = 'APPROVED'::text) AND (t.billing_currency = a.billing_currency))) AS reversed_amount,
    ( SELECT sum(t.billing_amount) AS sum
           FROM transactions t
          WHERE ((t.original_transaction_id = a.transaction_id) AND (t.kind = 'refund'::text) AND (t.transaction_status = 'APPROVED'::text) AND (t.billing_currency = a.billing_currency))) AS refunded_amount
   FROM transactions a
  WHERE (kind = 'authorization'::text);

-- The authorizations that were declined for their merchant category code, with the card's own rules beside them as they are known now.
--   transaction_id: See authorizations.
--   event_id: See authorizations.
--   card_id: See authorizations.
--   cardholder_id: See authorizations.
--   transaction_type: See authorizations.
--   transaction_status: Always DECLINED.
--   description: UQPAY's text for the decline.
--   transaction_amount: What the merchant asked for, in transaction_currency.
--   transaction_currency: ISO 4217 code.
--   billing_amount: See authorizations; 0 on a decline.
--   billing_currency: ISO 4217 code.
--   transaction_fee: See authorizations.
--   transaction_fee_currency: ISO 4217 code.
--   authorization_code: See authorizations; NULL on a decline.
--   original_transaction_id: See authorizations.
--   wallet_type: See authorizations.
--   mcc: The merchant category code that was declined.
--   merchant_name: See authorizations.
--   merchant_city: See authorizations.
--   merchant_country: See authorizations.
--   transaction_time: When the card was used. NULL in abbreviated events.
--   posted_time: See authorizations.
--   decline_category: Always mcc.
--   mcc_declined: Always true.
--   received_at: When the first event about it was stored.
--   updated_at: When the authorization's row was last written.
--   card_status: The card's status as it is known now.
--   allowed_mcc: The card's own list as it is known now.
--   blocked_mcc: The card's own list as it is known now.
--   rule_scope: card: the card's own list explains the decline; account: the card's rules are known and do not; unknown: they were never seen, or the event names no merchant category code.
--   settled_amount: See authorizations.
--   settlement_credited_amount: See authorizations.
--   settlement_reversed_amount: See authorizations.
--   reversed_amount: See authorizations.
--   refunded_amount: See authorizations.
create view mcc_declines as
SELECT a.transaction_id,
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
        CASE
            WHEN ((c.mcc_mode IS NULL) OR (a.mcc IS NULL)) THEN 'unknown'::text
            WHEN (a.mcc = ANY (c.blocked_mcc)) THEN 'card'::text
            WHEN ((c.mcc_mode = 'allow'::text) AND (a.mcc <> ALL (c.allowed_mcc))) THEN 'card'::text
            ELSE 'account'::text
        END AS rule_scope,
    a.settled_amount,
    a.settlement_credited_amount,
    a.settlement_reversed_amount,
    a.reversed_amount,
    a.refunded_amount
   FROM (authorizations a
     LEFT JOIN cards c USING (card_id))
  WHERE a.mcc_declined;
