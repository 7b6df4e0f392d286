import { InvalidArgumentError } from "@commander-js/extra-typings";
import { UsageError } from "./frame.ts";

/* Options that several commands have. */

export const CARD = ["--card <card_id>", "only about this card"] as const;
export const TYPE = ["--type <type>", "only of this event type"] as const;
export const SINCE = [
  "--since <time>",
  "only received then or later: 2026-04-12T10:00:00Z, or an age: 30m, 6h, 2d",
  readTime,
] as const;
export const UNTIL = [
  "--until <time>",
  "only received before",
  readTime,
] as const;

export const DEFAULT_LIMIT = 100;
export const LIMIT = [
  "--limit <n>",
  `at most so many (${DEFAULT_LIMIT})`,
  readLimit,
] as const;

const UNITS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A point in time: ISO 8601, or an age such as 30m, 6h, 2d. */
function readTime(text: string): Date {
  const isAge = /^\d{1,6}[smhd]$/.test(text);
  const ms = isAge ? Date.now() - readDuration(text) : Date.parse(text);
  if (Number.isNaN(ms))
    throw new InvalidArgumentError(
      "Write a time as 2026-04-12T10:00:00Z, or an age as 30m, 6h, 2d.",
    );
  return new Date(ms);
}

/** A length of time such as 90s, 10m, 6h, 2d, in milliseconds. */
export function readDuration(text: string): number {
  const [, number, unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const unitMs = UNITS[unit];
  if (unitMs === undefined)
    throw new InvalidArgumentError("Write it as 90s, 10m, 6h or 2d.");
  return Number(number) * unitMs;
}

export function readLimit(text: string): number {
  const limit = Number(text);
  if (!/^\d+$/.test(text) || limit < 1 || limit > 1_000_000)
    throw new InvalidArgumentError("Write a number from 1 to 1000000.");
  return limit;
}

/** Refuses options that would be ignored: each is meant as a choice or as a restriction. */
export function refuseAny(
  names: readonly string[],
  options: object,
  why: string,
): void {
  const given = Object.keys(options).find((name) => names.includes(name));
  if (given !== undefined)
    throw new UsageError(`error: ${why}: --${given} cannot be used with it.`);
}

export function expectQuarantineIds(
  option: string,
  ids: readonly string[],
): void {
  const wrong = ids.find((id) => !/^\d{1,18}$/.test(id));
  if (wrong !== undefined)
    throw new UsageError(
      `error: ${option} takes the ids that quarantine lists: '${wrong}' is none.`,
    );
}
