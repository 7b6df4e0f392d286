import { sql } from "kysely";
import type { Database } from "./database.ts";

/*
 * How many calls of UQPAY's API all instances together may send: one row, by the database's clock. A bucket that drips
 * (GCRA), since a counter for each minute would allow twice as many across the boundary of two.
 *
 * `emptied_at` is when all that was taken will have dripped away. A time further ahead than that can be was set by a clock
 * that has been put back since, or for a smaller allowance, and counts as past; so does a pause.
 */

/** So many may be sent at once: a card that somebody waits for takes no more, and a caller may be late by as many. */
const MOST_AT_ONCE = 3;

/** UQPAY counts by the minute: it asks for no longer pause. */
const LONGEST_PAUSE_S = 300;

const SLACK_S = 1;

const NOW = sql`clock_timestamp()`;
const IS_OPEN = sql`not closed_until between ${NOW} and ${NOW} + ${seconds(LONGEST_PAUSE_S)}`;

/**
 * Takes one call, where one may be sent now. In no minute, wherever it begins, are more than `callsPerMinute` taken.
 * Nothing is reserved for who has to wait.
 *
 * @returns 0 when it was taken; else for how many ms not to ask again
 */
export async function takeCall(
  db: Database,
  callsPerMinute: number,
): Promise<number> {
  const atOnce = Math.min(MOST_AT_ONCE, callsPerMinute);
  // So the first and the last call of a row of so many are a minute apart, also where the first ones came at once.
  const dripS = 60 / (callsPerMinute - atOnce + 1);
  const full = seconds(dripS * (atOnce - 1));
  const isPast = sql`emptied_at > ${NOW} + ${seconds(dripS * atOnce + SLACK_S)}`;
  // The clock is read again once the row's lock is had.
  const { rows: taken } = await sql`
    update api_budget
    set emptied_at = case when ${isPast} then ${NOW} else greatest(emptied_at, ${NOW}) end + ${seconds(dripS)}
    where is_only and ${IS_OPEN} and (emptied_at - ${full} <= ${NOW} or ${isPast})
    returning true
  `.execute(db);
  if (taken.length > 0) return 0;
  const { rows } = await sql<{ ms: number }>`
    select 1000 * extract(epoch from greatest(
      emptied_at - ${full} - ${NOW},
      case when ${IS_OPEN} then '0' else closed_until - ${NOW} end
    ))::float8 as ms
    from api_budget
  `.execute(db);
  // At least a little, where it has become free meanwhile.
  return Math.max(1, Math.ceil(rows[0]?.ms ?? 0));
}

/** Nobody takes a call for so long, some minutes at most. A pause that lasts longer already stays. */
export async function closeBudget(
  db: Database,
  pauseMs: number,
): Promise<void> {
  const pauseS = Math.min(pauseMs / 1_000, LONGEST_PAUSE_S);
  await sql`
    update api_budget
    set closed_until = greatest(case when ${IS_OPEN} then ${NOW} else closed_until end, ${NOW} + ${seconds(pauseS)})
    where is_only
  `.execute(db);
}

function seconds(count: number) {
  return sql`make_interval(secs => ${count}::double precision)`;
}
