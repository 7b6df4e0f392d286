-- What the events say that had no handler before. Empty in all rows: events that were stored as ignored become part of them
-- by `replay --state ignored`.
alter table cards add column elevated_limit numeric;
alter table cards add column elevated_limit_until timestamptz;
alter table cards add column pin_blocked_at timestamptz;
alter table cards add column network_protection jsonb;

comment on column cards.elevated_limit is 'The limit of a single transaction as it was raised for a while, in card_currency. It stays here when that is over: see elevated_limit_until.';
comment on column cards.elevated_limit_until is 'Until when elevated_limit holds; no event tells of the end.';
comment on column cards.pin_blocked_at is 'When the latest event was signed that told of too many wrong PINs. Nothing tells when such a block is over, so nothing clears it.';
comment on column cards.network_protection is 'Whether the network refuses the card''s number, as {"status": "ENROLLED", "enabled": true, "action_code": "41", "update_time": "…"}; what an event did not state is null.';
comment on column cards.available_balance is 'The balance after the latest event that stated one; it may be negative. Of a cancelled SINGLE card: what was stated last, which UQPAY has returned or will return, and of which no event tells. Not money on the card.';
