-- With webhook_events_kept, which has the others, an order by time for every event: without it a page of the newest was
-- cut from a sort of the whole inbox. What comes with a body, as nearly all does, is not in it.
create index webhook_events_without_body on webhook_events (received_at) where body is null;
