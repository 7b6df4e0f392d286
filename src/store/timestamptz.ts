import type { Instant } from "../domain/instant.ts";
import {
  epochSecondOf,
  instantAt,
  instantFromEpochMs,
  instantOf,
  microsecondsOf,
} from "../domain/instant.ts";

const TIMESTAMPTZ =
  /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?([+-]\d{2})(?::?(\d{2}))?$/;

/** PostgreSQL writes `2026-04-12 07:27:39.48+00`, in the session's time zone. Keeps the microseconds. */
export function readTimestamptz(text: string): Instant {
  if (isPlain(text)) return instantAt(text, 0, text.length - UTC.length);
  const match = TIMESTAMPTZ.exec(text);
  if (match === null)
    throw new RangeError("a timestamptz outside the years 0001 to 9999");
  const [, date = "", time = "", decimals = "", hours = "", minutes = "00"] =
    match;
  const utcMs = Date.parse(`${date}T${time}${hours}:${minutes}`);
  return instantOf(instantFromEpochMs(utcMs), 0, decimals, 0, decimals.length);
}

/** In UTC, as the service's own sessions have it, and with a year of four digits: taken apart without a pattern. */
function isPlain(text: string): boolean {
  return text.charAt(10) === " " && text.endsWith(UTC);
}

const UTC = "+00";

/** PostgreSQL counts from the year 2000. */
const EPOCH_SECOND = Date.UTC(2000, 0, 1) / 1_000;

/**
 * Writes an instant in PostgreSQL's binary form, eight bytes: microseconds since 2000 (`timestamptz_recv`).
 *
 * @returns where it ends
 */
export function writeTimestamptz(
  instant: Instant,
  buffer: Buffer,
  at: number,
): number {
  const seconds = epochSecondOf(instant) - EPOCH_SECOND;
  const withinSecond = microsecondsOf(instant);
  const microseconds = seconds * 1_000_000 + withinSecond;
  // Exact in the 285 years before and after: with a BigInt it takes 1.5 times as long.
  if (Number.isSafeInteger(microseconds)) {
    const high = Math.floor(microseconds / 2 ** 32);
    buffer.writeInt32BE(high, at);
    return buffer.writeUInt32BE(microseconds - high * 2 ** 32, at + 4);
  }
  return buffer.writeBigInt64BE(
    BigInt(seconds) * 1_000_000n + BigInt(withinSecond),
    at,
  );
}
