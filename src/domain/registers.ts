import type { Clock } from "./clock.ts";
import { compareClocks } from "./clock.ts";
import type { Instant } from "./instant.ts";
import { earlier } from "./instant.ts";

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

/**
 * Dates anew what some events set, by the earlier time at which a copy of each was signed. No own time of an event is
 * later than that, so what was dated later was dated by the signing.
 *
 * @param signedAtOf by event_id; what others set stays as it is
 */
export function dateBack<Fields extends object>(
  registers: Registers<Fields>,
  signedAtOf: ReadonlyMap<string, Instant>,
): Registers<Fields> {
  const entries = Object.entries(registers) as [string, Register<unknown>][];
  return Object.fromEntries(
    entries.map(([field, { value, clock }]) => {
      const signedAt = signedAtOf.get(clock.eventId) ?? clock.signedAt;
      const at = earlier(clock.at, signedAt);
      return [field, { value, clock: { ...clock, at, signedAt } }];
    }),
  ) as Registers<Fields>;
}
