-- Every event leaves a dead entry in the index of what waits, and each search for stalled events reads those that are
-- left until the next vacuum: 4 ms for a million. With PostgreSQL's default, which waits for a fifth of the table, a
-- hundred million events would mean twenty million of them.
alter table webhook_events set (autovacuum_vacuum_scale_factor = 0.05);
