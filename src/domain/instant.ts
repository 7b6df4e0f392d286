import { remember } from "./remember.ts";

/**
 * A moment in UTC as text, always `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
 *
 * Text and not a `Date`, because UQPAY sends and PostgreSQL keeps microseconds and a `Date` would drop them;
 * and because at a fixed width the order of the text is the order of time.
 */
export type Instant = string & { readonly brand: "Instant" };

export const INSTANT_LENGTH = "YYYY-MM-DDTHH:MM:SS.ffffffZ".length;

/** @param epochMs milliseconds since 1970; the years 0000 to 9999 can be written */
export function instantFromEpochMs(epochMs: number): Instant {
  const second = Math.floor(epochMs / 1000);
  const ms = String(Math.floor(epochMs - second * 1000)).padStart(3, "0");
  return instantOf(textOfSecond(second), 0, ms, 0, ms.length);
}

const [DASH, T, COLON, POINT, Z] = [0x2d, 0x54, 0x3a, 0x2e, 0x5a] as const;

/**
 * From a text that has `YYYY-MM-DDTHH:MM:SS` at `at`, whatever stands in it for the `T`, and one that has the decimals
 * from `from` to `to`, six of which are kept. Put together character by character: what was joined or cut out of a text V8
 * keeps as references to the pieces, and each comparison goes through them anew.
 */
export function instantOf(
  second: string,
  at: number,
  decimals: string,
  from: number,
  to: number,
): Instant {
  return String.fromCharCode(
    second.charCodeAt(at),
    second.charCodeAt(at + 1),
    second.charCodeAt(at + 2),
    second.charCodeAt(at + 3),
    DASH,
    second.charCodeAt(at + 5),
    second.charCodeAt(at + 6),
    DASH,
    second.charCodeAt(at + 8),
    second.charCodeAt(at + 9),
    T,
    second.charCodeAt(at + 11),
    second.charCodeAt(at + 12),
    COLON,
    second.charCodeAt(at + 14),
    second.charCodeAt(at + 15),
    COLON,
    second.charCodeAt(at + 17),
    second.charCodeAt(at + 18),
    POINT,
    digitBefore(to, decimals, from),
    digitBefore(to, decimals, from + 1),
    digitBefore(to, decimals, from + 2),
    digitBefore(to, decimals, from + 3),
    digitBefore(to, decimals, from + 4),
    digitBefore(to, decimals, from + 5),
    Z,
  ) as Instant;
}

/** The code of what stands there, or that of zero behind the end. */
function digitBefore(end: number, text: string, at: number): number {
  return at < end ? text.charCodeAt(at) : DIGIT_ZERO;
}

/** The instant that stands there in a text; its decimals may be fewer than six, and then end at `end`. */
export function instantAt(
  text: string,
  at: number,
  end = at + INSTANT_LENGTH - "Z".length,
): Instant {
  return instantOf(text, at, text, at + DECIMALS_AT, end);
}

/** What comes together happened in a few seconds, and the calendar takes a dozen times as long as looking them up. */
const textOfSecond = remember(100, (second: number) =>
  new Date(second * 1000).toISOString().slice(0, -".000Z".length),
);

/** Milliseconds since 1970; the microseconds are cut off. */
export function epochMsOf(instant: Instant): number {
  return epochSecondOf(instant) * 1000 + numberAt(instant, DECIMALS_AT, 3);
}

/** The second that it is in, since 1970. */
export function epochSecondOf(instant: Instant): number {
  const month = numberAt(instant, 0, 4) * 100 + numberAt(instant, 5, 2);
  const minute = numberAt(instant, 11, 2) * 60 + numberAt(instant, 14, 2);
  const day = beginOfDay(month * 100 + numberAt(instant, 8, 2));
  return day + minute * 60 + numberAt(instant, 17, 2);
}

/** What it has beyond the second, 0 to 999,999. */
export function microsecondsOf(instant: Instant): number {
  return numberAt(instant, DECIMALS_AT, 6);
}

const DECIMALS_AT = "YYYY-MM-DDTHH:MM:SS.".length;

/**
 * The number that stands there in a text. Digit by digit: a piece of the text would be one more object, to be hashed and
 * thrown away.
 */
export function numberAt(text: string, at: number, digits: number): number {
  let number = 0;
  for (let index = at; index < at + digits; index++)
    number = number * 10 + text.charCodeAt(index) - DIGIT_ZERO;
  return number;
}

const DIGIT_ZERO = "0".charCodeAt(0);

/** @param date as a number, YYYYMMDD @returns in seconds since 1970 */
const beginOfDay = remember(100, (date: number) => {
  const month = Math.floor(date / 100);
  // Not `Date.UTC`, to which the year 50 is 1950.
  const dayMs = new Date(0).setUTCFullYear(
    Math.floor(month / 100),
    (month % 100) - 1,
    date % 100,
  );
  return dayMs / 1000;
});

export function earlier(a: Instant, b: Instant): Instant {
  return a <= b ? a : b;
}

export function later(a: Instant, b: Instant): Instant {
  return a >= b ? a : b;
}

/** Undefined: not known. */
export function earliestKnown(
  a: Instant | undefined,
  b: Instant | undefined,
): Instant | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : earlier(a, b);
}
