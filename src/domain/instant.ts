/**
 * A moment in UTC as text, always `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
 *
 * Text and not a `Date`, because UQPAY sends and PostgreSQL keeps microseconds and a `Date` would drop them;
 * and because at a fixed width the order of the text is the order of time.
 */
export type Instant = string & { readonly brand: "Instant" };

/** @param epochMs milliseconds since 1970; the years 0000 to 9999 can be written */
export function instantFromEpochMs(epochMs: number): Instant {
  return `${new Date(epochMs).toISOString().slice(0, -1)}000Z` as Instant;
}

export function earlier(a: Instant, b: Instant): Instant {
  return a <= b ? a : b;
}

export function later(a: Instant, b: Instant): Instant {
  return a >= b ? a : b;
}
