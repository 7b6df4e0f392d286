import { sql } from "kysely";
import type { Instant } from "../domain/instant.ts";
import type { Database, EventState, Transaction } from "./database.ts";

/* The events of the inbox that wait: taken, tried, failed and found again. */

/** An event that waited to be applied. */
export interface WaitingEvent {
  readonly eventId: string;
  readonly body: string;
  readonly signedAt: Instant;
  readonly receivedAt: Instant;
}

/**
 * Takes those of these events that still wait, and marks them as processed: they are locked until the transaction ends,
 * and wait again if it fails. On a pool that only looks up, in the order of their ids: two workers with the same events
 * never wait in a circle.
 *
 * @param countAttempts false where `beginAttempt` has counted them before
 */
export async function takeWaitingEvents(
  trx: Transaction,
  eventIds: readonly string[],
  countAttempts: boolean,
): Promise<WaitingEvent[]> {
  // Not by the plain column `state`: the planner may believe the index of all that waits to be small, from statistics of a
  // quieter time, and then reads the whole backlog for each batch.
  const { rows } = await sql<WaitingEvent>`/* take-waiting-events */
    update webhook_events
    set state = 'processed',
        processed_at = clock_timestamp(),
        attempts = attempts + ${countAttempts ? 1 : 0},
        last_error = null
    where event_id = any(${eventIds}::text[]) and state || '' = 'received'
    returning event_id as "eventId", coalesce(body, 'null') as body, signed_at as "signedAt", received_at as "receivedAt"
  `.execute(trx);
  return rows;
}

/**
 * Counts an attempt before it is made and commits that, so that an event which kills the process is counted
 * too. Gives up an event whose attempts are used up.
 *
 * @param leaseMs for so long no sweep looks for the event
 * @returns undefined when the event does not wait
 */
export async function beginAttempt(
  db: Database,
  eventId: string,
  maxAttempts: number,
  leaseMs: number,
): Promise<Attempt | undefined> {
  const { rows } = await sql<
    Omit<Attempt, "givenUp"> & { state: EventState; error: string }
  >`
    update webhook_events
    set attempts = least(attempts + 1, ${maxAttempts}),
        state = case when attempts < ${maxAttempts} then state else 'failed' end,
        last_error = coalesce(last_error, 'the process ended while it worked on this event'),
        hinted_at = ${fromNow(leaseMs)}
    where event_id = ${eventId} and state = 'received'
    returning state, attempts as number, ${WAITED_MS} as "waitedMs", card_id as "cardId", last_error as error
  `.execute(db);
  const [row] = rows;
  if (row === undefined) return undefined;
  const { state, error, ...attempt } = row;
  if (state !== "failed") return attempt;
  const { cardId } = attempt;
  const outcome = { retryInMs: undefined, counts: true };
  return { ...attempt, givenUp: { eventId, cardId, error, ...outcome } };
}

const WAITED_MS = sql`extract(epoch from now() - received_at)::float8 * 1000`;

export interface Attempt {
  /** The first one is 1. */
  readonly number: number;
  /** Since the event was recorded. */
  readonly waitedMs: number;
  readonly cardId: string | null;
  /** Set when there is none left: the event is `failed` now. */
  readonly givenUp?: FailedAttempt;
}

/** @returns what the next attempt would be; undefined when the event does not wait */
export async function findNextAttempt(
  db: Database,
  eventId: string,
): Promise<Attempt | undefined> {
  const { rows } = await sql<Attempt>`
    select attempts + 1 as number, ${WAITED_MS} as "waitedMs", card_id as "cardId"
    from webhook_events
    where event_id = ${eventId} and state = 'received'
  `.execute(db);
  return rows[0];
}

export interface FailedAttempt {
  readonly eventId: string;
  readonly cardId?: string | null;
  readonly error: string;
  /** When the next attempt is due; undefined when there is none: the event is `failed`. */
  readonly retryInMs: number | undefined;
  /** False: it was no fault of the event. */
  readonly counts: boolean;
}

/** @param isCounted whether `beginAttempt` has counted it; where it does not count, that is taken back */
export async function recordFailedAttempt(
  db: Database,
  { eventId, error, retryInMs, counts }: FailedAttempt,
  isCounted: boolean,
): Promise<void> {
  await db
    .updateTable("webhook_events")
    .set((eb) => ({
      state: retryInMs === undefined ? "failed" : "received",
      attempts: eb("attempts", "+", Number(counts) - Number(isCounted)),
      last_error: error,
      hinted_at: fromNow(retryInMs ?? 0),
    }))
    .where("event_id", "=", eventId)
    .where("state", "=", "received")
    .execute();
}

export interface StalledEvent {
  readonly eventId: string;
  /** It was hinted again before, and is still not finished. */
  readonly wasHintedAgain: boolean;
}

/**
 * Takes events that wait and have lost their hint, oldest first. Marks them as hinted now, so that they are not taken
 * again while that hint waits its turn. Rows that another instance takes, or that a worker has in hand, are passed over.
 *
 * @param graceMs an event that was hinted later than this ago is left to its hint
 * @param placedBefore only events whose hint was placed before; undefined: however late
 */
export async function takeStalledEvents(
  db: Database,
  graceMs: number,
  placedBefore: Date | undefined,
  limit: number,
): Promise<StalledEvent[]> {
  const { rows } = await sql<StalledEvent>`
    with stalled as (
      select event_id, hinted_at is not null as was_hinted_again
      from webhook_events
      where state = 'received'
        and coalesce(hinted_at, received_at) < least(${fromNow(-graceMs)}, ${placedBefore ?? null}::timestamptz)
      order by coalesce(hinted_at, received_at)
      limit ${limit}
      for update skip locked
    )
    update webhook_events as event
    set hinted_at = now()
    from stalled
    where event.event_id = stalled.event_id
    returning event.event_id as "eventId", stalled.was_hinted_again as "wasHintedAgain"
  `.execute(db);
  return rows;
}

/**
 * How long the oldest event that waits has waited, in seconds; 0 when none waits. Looks at the thousand that
 * were hinted first: a backlog may have millions, and the oldest of it is among them.
 */
export async function findOldestWaitingSeconds(db: Database): Promise<number> {
  const { rows } = await sql<{ seconds: number }>`
    select coalesce(extract(epoch from now() - min(received_at)), 0)::float8 as seconds
    from (
      select received_at
      from webhook_events
      where state = 'received'
      order by coalesce(hinted_at, received_at)
      limit 1000
    ) waiting
  `.execute(db);
  return rows[0]?.seconds ?? 0;
}

function fromNow(ms: number) {
  return sql<Instant>`now() + make_interval(secs => ${ms / 1000}::double precision)`;
}
