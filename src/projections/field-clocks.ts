import type { Clock } from "../domain/clock.ts";
import type { Instant } from "../domain/instant.ts";
import type { Json, JsonObject } from "../domain/json.ts";
import type { Registers } from "../domain/registers.ts";

/** The column was edited by hand: an event that is applied to such a row might undo what a later one said. */
export class UnreadableClocksError extends Error {
  constructor(table: string, id: string) {
    super(
      `${table}.field_clocks of ${id} is unreadable (edited by hand?): run rebuild`,
    );
    this.name = "UnreadableClocksError";
  }
}

/**
 * The column `field_clocks`: which event set which column, an object by column, such as
 *
 *     {"card_limit": {"event_id": "…", "at": "2026-04-12T07:27:39.000000Z", "signed_at": "…"}}
 *
 * and `finality` and `authority` where they are not 0. See `Clock`.
 */
export function writeClocks(registers: Registers): JsonObject {
  return Object.fromEntries(
    Object.entries(registers).map(([column, { clock }]) => {
      const { eventId, at, signedAt, finality, authority } = clock;
      return [
        column,
        {
          event_id: eventId,
          at,
          signed_at: signedAt,
          ...(finality !== 0 && { finality }),
          ...(authority !== 0 && { authority }),
        },
      ];
    }),
  );
}

/** @returns undefined where the service has not written that */
export function readClocks(
  written: Json,
): ReadonlyMap<string, Clock> | undefined {
  if (!isObject(written)) return undefined;
  const clocks = new Map<string, Clock>();
  for (const [column, entry] of Object.entries(written)) {
    const clock = readClock(entry);
    if (clock === undefined) return undefined;
    clocks.set(column, clock);
  }
  return clocks;
}

function readClock(entry: Json): Clock | undefined {
  if (!isObject(entry)) return undefined;
  const { event_id: eventId, at, signed_at: signedAt } = entry;
  const { finality = 0, authority = 0 } = entry;
  if (typeof eventId !== "string") return undefined;
  if (!isInstant(at) || !isInstant(signedAt)) return undefined;
  if (typeof finality !== "number" || typeof authority !== "number")
    return undefined;
  return { finality, authority, at, signedAt, eventId };
}

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

function isInstant(value: Json | undefined): value is Instant {
  return typeof value === "string" && INSTANT.test(value);
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
