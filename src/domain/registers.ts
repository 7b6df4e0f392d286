import type { Clock } from "./clock.ts";
import { compareClocks } from "./clock.ts";
import type { Json } from "./json.ts";
import { textOf } from "./json.ts";

/**
 * What is known of one column, and the clock that says how well. A value is what PostgreSQL is given: text (also for
 * amounts and instants), lists and JSON. Null is known to be none; what is not known has no register.
 */
export interface Register {
  readonly value: Json;
  readonly clock: Clock;
}

/** The registers of a row, by the names of its columns. */
export type Registers = Readonly<Record<string, Register>>;

/** Which of two values of a column stands: the one with the greater clock, or the lesser time. */
export type Keeps = "latest" | "earliest";

/**
 * Keeps the better of two registers, column by column. Commutative, associative and idempotent: this is all that makes
 * order and duplicates not matter.
 *
 * @returns `known` itself when `news` changes nothing, so that a caller can tell by identity
 */
export function mergeRegisters(
  known: Registers,
  news: Registers,
  keepsOf: (column: string) => Keeps,
): Registers {
  const better = Object.entries(news).filter(([column, fresh]) => {
    const old = known[column];
    return old === undefined || isBetter(fresh, old, keepsOf(column));
  });
  return better.length === 0
    ? known
    : { ...known, ...Object.fromEntries(better) };
}

function isBetter(fresh: Register, old: Register, keeps: Keeps): boolean {
  if (keeps === "latest") return compareClocks(fresh.clock, old.clock) > 0;
  const [time, known] = [textOf(fresh.value), textOf(old.value)];
  if (time !== known) return time < known;
  return compareClocks(fresh.clock, old.clock) < 0;
}

/** Registers for what an event states, all with one clock. What is undefined is not stated. */
export function statedAt(
  clock: Clock,
  values: Readonly<Record<string, Json | undefined>>,
): Registers {
  const registers: Record<string, Register> = {};
  for (const [column, value] of Object.entries(values))
    if (value !== undefined) registers[column] = { value, clock };
  return registers;
}
