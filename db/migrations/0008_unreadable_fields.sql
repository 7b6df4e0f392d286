-- An optional field that cannot be read no longer refuses its event: what else the event says is applied, and the field
-- is listed here.
alter table webhook_events add column issues jsonb;
comment on column webhook_events.issues is 'Optional fields that could not be read and count as not stated, as [{"path": "data.available_balance", "message": "…"}]; NULL where all could. No message repeats a value.';
comment on column webhook_events.body is 'The exact text that was signed, so body::jsonb is the event (behind a byte order mark, where one was sent). NULL for event types that carry a one-time password, an activation code or a key, and after retention. A card number that came in the clear is masked in it, and for a security code it has null.';
comment on column webhook_events.body_sha256 is 'SHA-256 of the body as it was signed, to tell a redelivery from another event under the same id. Where the body is not kept, or not as it was signed, a keyed hash (HMAC-SHA256 with the webhook secret), since a plain one would give a short code away.';
comment on column quarantined_events.body is 'The exact bytes that were signed, but for card numbers in the clear and security codes (see webhook_events). NULL where they carry a one-time password, an activation code or a key.';
comment on column quarantined_events.body_sha256 is 'SHA-256 of the bytes as they were signed (keyed where the body is not kept as such, as in webhook_events).';
