import { remember } from "./remember.ts";

/**
 * A moment in UTC as text, always `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
 *
 * Text and not a `Date`, because UQPAY sends and PostgreSQL keeps microseconds and a `Date` would drop them;
 * and because at a fixed width the order of the text is the order of time.
 */
export type Instant = string & { readonly brand: "Instant" };

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

export function earlier(a: Instant, b: Instant): Instant {
  return a <= b ? a : b;
}

export function later(a: Instant, b: Instant): Instant {
  return a >= b ? a : b;
}
