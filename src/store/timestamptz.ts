import type { Instant } from "../domain/instant.ts";
import { epochMsOf, instantFromEpochMs } from "../domain/instant.ts";

const TIMESTAMPTZ =
  /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?([+-]\d{2})(?::?(\d{2}))?$/;

/** PostgreSQL writes `2026-04-12 07:27:39.48+00`, in the session's time zone. Keeps the microseconds. */
export function readTimestamptz(text: string): Instant {
  const match = TIMESTAMPTZ.exec(text);
  if (match === null)
    throw new RangeError("a timestamptz outside the years 0001 to 9999");
  const [, date = "", time = "", decimals = "", hours = "", minutes = "00"] =
    match;
  const utcMs = Date.parse(`${date}T${time}${hours}:${minutes}`);
  return instantFromEpochMs(utcMs, decimals);
}

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
  const second = Math.floor(epochMsOf(instant) / 1_000) - EPOCH_SECOND;
  const microsecond = BigInt(instant.slice(-"ffffffZ".length, -1));
  const microseconds = BigInt(second) * 1_000_000n + microsecond;
  return buffer.writeBigInt64BE(microseconds, at);
}
