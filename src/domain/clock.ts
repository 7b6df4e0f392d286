import type { Instant } from "./instant.ts";
import { earlier } from "./instant.ts";

/**
 * Says which of two values of one field is the true one: the one with the greater clock.
 * The parts are compared in the order in which they stand here.
 */
export interface Clock {
  /** How irrevocable the value is: late news must not revive a cancelled card. */
  readonly finality: number;
  /** 1 for a change that UQPAY announced, 0 for a value seen in passing in a snapshot. */
  readonly authority: number;
  /** The event's own time, never later than `signedAt`. */
  readonly at: Instant;
  /** The earliest time in the signed headers of the event's copies: separates events of one second. */
  readonly signedAt: Instant;
  /** Breaks what is left in the same way everywhere. */
  readonly eventId: string;
}

/** What every event brings to date itself with. */
export interface EventOrigin {
  readonly eventId: string;
  readonly signedAt: Instant;
}

/**
 * The clock of an event's ordinary fields.
 *
 * @param ownTime the time that the event itself states, where it states one. A time after the signing is
 *   capped: nothing happens after it was signed for, and a wrong time in the future must not win for ever.
 */
export function clockOf(origin: EventOrigin, ownTime?: Instant): Clock {
  return {
    finality: 0,
    authority: 0,
    at:
      ownTime === undefined
        ? origin.signedAt
        : earlier(ownTime, origin.signedAt),
    signedAt: origin.signedAt,
    eventId: origin.eventId,
  };
}

/** Negative when `a` is the lesser clock, positive when it is the greater, 0 only for the same clock. */
export function compareClocks(a: Clock, b: Clock): number {
  if (a.finality !== b.finality) return a.finality - b.finality;
  if (a.authority !== b.authority) return a.authority - b.authority;
  if (a.at !== b.at) return a.at < b.at ? -1 : 1;
  if (a.signedAt !== b.signedAt) return a.signedAt < b.signedAt ? -1 : 1;
  return compareCodePoints(a.eventId, b.eventId);
}

/**
 * The order of PostgreSQL's collation "C" on UTF-8. JavaScript's `<` compares UTF-16 units, which puts
 * characters beyond U+FFFF before U+E000..U+FFFF, so that two places could break one tie differently.
 */
export function compareCodePoints(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const unitOfA = a.charCodeAt(index);
    const unitOfB = b.charCodeAt(index);
    if (unitOfA !== unitOfB) return rankOfUnit(unitOfA) - rankOfUnit(unitOfB);
  }
  return a.length - b.length;
}

/** Moves the surrogates (0xD800..0xDFFF), which stand for code points beyond U+FFFF, behind all other units. */
function rankOfUnit(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
