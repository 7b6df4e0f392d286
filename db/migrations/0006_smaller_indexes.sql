-- A card's events by the card alone: with signed_at in it no two entries were alike, and PostgreSQL keeps those that are
-- alike as one (deduplication). The index has less than a third of its size, and to record and to mark an event takes
-- 2 to 3 us less each. What shows a card's story reads all of it, and sorts it.
drop index webhook_events_card;
create index webhook_events_card on webhook_events (card_id) where card_id is not null;

-- Rising, so that what comes next stands at the end, where PostgreSQL splits a full page into a full and an empty one; at
-- the begin it leaves two halves. 22 B an entry instead of 40, and read backwards as fast.
drop index authorizations_by_time;
create index authorizations_by_time on authorizations (transaction_time);
drop index authorizations_mcc_declined;
create index authorizations_mcc_declined on authorizations (received_at) where mcc_declined;
