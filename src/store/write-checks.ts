import { sql } from "kysely";
import type { Database } from "./database.ts";

// For statements without a row PostgreSQL checks all that it checks for others, that it takes writes, the tables, the
// columns and the rights, and then writes nothing.
const RECEIVER_WRITES = `
  insert into webhook_events (event_id, event_type, event_name, version, source_id, card_id, body, body_sha256, signed_at, state)
    select '', '', '', '', '', '', '', '', now(), '' where false
    on conflict (event_id) do nothing returning event_id;
  insert into quarantined_events (reason, body, body_sha256) select '', '', '' where false returning id;
  update quarantined_events set deliveries = deliveries + 1 where false;
  update webhook_events set signed_at = signed_at where false;
  insert into earlier_copies (event_id, signed_at) select '', now() where false returning event_id`;
const WORKER_WRITES = `
  update webhook_events set state = state, attempts = attempts, hinted_at = hinted_at where false
    returning event_id, body;
  insert into cards (card_id) select '' where false returning card_id;
  update cards set card_id = card_id where false returning field_clocks;
  insert into transactions (transaction_id, kind) select '', '' where false returning transaction_id;
  update transactions set transaction_id = transaction_id where false returning field_clocks;
  insert into transaction_cards (transaction_id, card_id) select '', '' where false
    on conflict (transaction_id, card_id) do nothing;
  update earlier_copies set taken_at = taken_at where false returning event_id`;

/** @throws what would keep a delivery from being stored by a connection of this pool */
export async function checkReceiverWrites(db: Database): Promise<void> {
  await sql.raw(RECEIVER_WRITES).execute(db);
}

/** @throws what would keep an event from being applied by a connection of this pool */
export async function checkWorkerWrites(db: Database): Promise<void> {
  await sql.raw(WORKER_WRITES).execute(db);
}
