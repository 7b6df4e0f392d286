import type { Instant } from "../domain/instant.ts";
import { instantFromEpochMs } from "../domain/instant.ts";

const TIMESTAMPTZ =
  /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?([+-]\d{2})(?::?(\d{2}))?$/;

/** PostgreSQL writes `2026-04-12 07:27:39.48+00`, in the session's time zone. Keeps the microseconds. */
export function readTimestamptz(text: string): Instant {
  if (isPlain(text))
    return `${text.slice(0, 10)}T${text.slice(11, 19)}.${text.slice(20, -3).padEnd(6, "0")}Z` as Instant;
  const match = TIMESTAMPTZ.exec(text);
  if (match === null)
    throw new RangeError("a timestamptz outside the years 0001 to 9999");
  const [, date = "", time = "", decimals = "", hours = "", minutes = "00"] =
    match;
  const microseconds = decimals.padEnd(6, "0");
  const utcMs = Date.parse(`${date}T${time}${hours}:${minutes}`);
  return instantFromEpochMs(utcMs).replace(
    /\d{6}Z$/,
    `${microseconds}Z`,
  ) as Instant;
}

/** In UTC, as the service's own sessions have it, and with a year of four digits: taken apart without a pattern. */
function isPlain(text: string): boolean {
  return text.charAt(10) === " " && text.endsWith("+00");
}
