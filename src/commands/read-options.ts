import { parseArgs } from "node:util";
import type { ParseArgsConfig } from "node:util";
import { UsageError } from "./usage-error.ts";

/** What stands after a command's name. An argument that has no meaning could be meant as a restriction: refused. */
export function readOptions<
  Options extends NonNullable<ParseArgsConfig["options"]>,
>(
  args: readonly string[],
  options: Options,
  usage: string,
  takesArguments = false,
) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: takesArguments,
      options,
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\nusage: ${usage}`);
  }
}

const UNITS: Readonly<Record<string, number>> = {
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A point in time: ISO 8601, or an age such as 30m, 6h, 2d. */
export function readTime(
  text: string | undefined,
  name: string,
): Date | undefined {
  if (text === undefined) return undefined;
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const time =
    unit === undefined
      ? new Date(text)
      : new Date(Date.now() - Number(count) * (UNITS[unit] ?? 0));
  if (Number.isNaN(time.getTime())) {
    throw new UsageError(
      `--${name} ${text}: write a time as 2026-04-12T10:00:00Z, or an age as 30m, 6h, 2d`,
    );
  }
  return time;
}

/** One of a few words. */
export function readChoice<Choice extends string>(
  text: string | undefined,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  if (text === undefined) return undefined;
  const choice = choices.find((known) => known === text);
  if (choice === undefined)
    throw new UsageError(`--${name} ${text}: one of ${choices.join(", ")}`);
  return choice;
}

export function readLimit(text: string | undefined): number {
  const limit = Number(text ?? 100);
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000_000) {
    throw new UsageError("--limit: a number from 1 to 1000000");
  }
  return limit;
}
