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
  return `${textOfSecond(second)}.${ms}000Z` as Instant;
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
