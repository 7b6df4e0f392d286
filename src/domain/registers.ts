import type { Clock } from "./clock.ts";
import { compareClocks } from "./clock.ts";

/** A last-writer-wins register: what is known, and the clock that says how well. */
export interface Register<Value> {
  readonly value: Value;
  readonly clock: Clock;
}

/** One register for each field that is known. A field that was never seen has none. */
export type Registers<Fields> = {
  readonly [Field in keyof Fields]?: Register<Fields[Field]>;
};

/** Registers that are still being put together. */
export type NewRegisters<Fields> = {
  [Field in keyof Fields]?: Register<Fields[Field]>;
};

/**
 * Keeps, field by field, the value with the greater clock. Commutative, associative and idempotent: this
 * is all that makes order and duplicates not matter.
 *
 * @returns `known` itself when `news` changes nothing, so that a caller can tell by identity
 */
export function mergeRegisters<Fields extends object>(
  known: Registers<Fields>,
  news: Registers<Fields>,
): Registers<Fields> {
  let merged: NewRegisters<Fields> | undefined;
  for (const field of Object.keys(news) as (keyof Fields)[]) {
    const fresh = news[field];
    if (fresh === undefined) continue;
    const old = known[field];
    if (old !== undefined && compareClocks(fresh.clock, old.clock) <= 0)
      continue;
    merged ??= { ...known };
    merged[field] = fresh;
  }
  return merged ?? known;
}

/**
 * Dates all fields that are present in `values` by one clock; an absent field leaves its register alone.
 *
 * @returns new ones, to which more may be added: V8 takes longer to spread them into another object than to make them
 */
export function registersOf<Fields extends object>(
  values: { readonly [Field in keyof Fields]?: Fields[Field] | undefined },
  clock: Clock,
): NewRegisters<Fields> {
  const registers: NewRegisters<Fields> = {};
  for (const field of Object.keys(values) as (keyof Fields)[]) {
    const value = values[field];
    if (value !== undefined) registers[field] = { value, clock };
  }
  return registers;
}
