import { InvalidArgumentError } from "@commander-js/extra-typings";

const UNITS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A point in time: ISO 8601, or an age such as 30m, 6h, 2d. */
export function readTime(text: string): Date {
  const ageMs = toMilliseconds(text);
  const time =
    ageMs === undefined ? new Date(text) : new Date(Date.now() - ageMs);
  if (Number.isNaN(time.getTime())) {
    throw new InvalidArgumentError(
      "Write a time as 2026-04-12T10:00:00Z, or an age as 30m, 6h, 2d.",
    );
  }
  return time;
}

/** A length of time such as 90s, 10m, 6h, 2d, in milliseconds. */
export function readDuration(text: string): number {
  const duration = toMilliseconds(text);
  if (duration === undefined)
    throw new InvalidArgumentError("Write it as 90s, 10m, 6h or 2d.");
  return duration;
}

function toMilliseconds(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(count) * (UNITS[unit] ?? 0);
}

/** How many rows at most. */
export function readLimit(text: string): number {
  const limit = Number(text);
  if (!/^\d+$/.test(text) || limit < 1 || limit > 1_000_000)
    throw new InvalidArgumentError("Write a number from 1 to 1000000.");
  return limit;
}

/** The number of an entry in the quarantine. */
export function isQuarantineId(text: string): boolean {
  return /^\d{1,18}$/.test(text);
}
