/**
 * A moment in UTC as text, always `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
 *
 * Text and not a `Date`, because UQPAY sends and PostgreSQL keeps microseconds and a `Date` would drop them;
 * and because at a fixed width the order of the text is the order of time.
 */
export type Instant = string & { readonly brand: "Instant" };

const TO_SECOND = "YYYY-MM-DDTHH:MM:SS".length;
const TO_MILLISECOND = "YYYY-MM-DDTHH:MM:SS.fff".length;

/**
 * @param epochMs milliseconds since 1970; the years 0000 to 9999 can be written
 * @param decimals of the second, in place of its milliseconds; six of them are kept
 */
export function instantFromEpochMs(
  epochMs: number,
  decimals?: string,
): Instant {
  const text = new Date(Math.floor(epochMs)).toISOString();
  const kept = decimals ?? text.slice(TO_SECOND + 1, TO_MILLISECOND);
  return `${text.slice(0, TO_SECOND)}.${kept.slice(0, 6).padEnd(6, "0")}Z` as Instant;
}

/** Milliseconds since 1970; the microseconds are cut off. */
export function epochMsOf(instant: Instant): number {
  return Date.parse(`${instant.slice(0, TO_MILLISECOND)}Z`);
}

export function earlier(a: Instant, b: Instant): Instant {
  return a <= b ? a : b;
}

/** Undefined: not known. */
export function earliestKnown(
  a: Instant | undefined,
  b: Instant | undefined,
): Instant | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : earlier(a, b);
}
