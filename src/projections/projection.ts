import type { CardEvent } from "../domain/card-event.ts";
import type { EventOrigin } from "../domain/clock.ts";
import type { Json } from "../domain/json.ts";
import type { Registers } from "../domain/registers.ts";

/**
 * A table that is kept from events. Applying, locking, `verify`, `rebuild`, `replay --dry-run` and `explain` follow from
 * this alone: to keep one more table takes one more of these, its line in `index.ts` and a migration.
 */
export interface Projection {
  readonly table: string;
  /** What a row of it stands for, in one word: names its lock. */
  readonly subject: string;
  /** All that the service writes. A table has `field_clocks` and `updated_at` besides. */
  readonly columns: Readonly<Record<string, Column>>;
  /** What one event says of this table's rows. */
  readonly statementsIn: (event: CardEvent) => readonly Statement[];
  /** What of that follows from its envelope alone, so also where its body is gone. */
  readonly statementsOfEnvelope?: (
    event: EventEnvelope,
  ) => readonly Statement[];
}

export interface EventEnvelope extends EventOrigin {
  /** The card that it says something of; undefined where it says nothing of any. */
  readonly cardId: string | undefined;
}

/** What an event says of one row. */
export interface Statement {
  /** The values of the key's columns, in their order. */
  readonly key: readonly string[];
  /** Of `latest` and `earliest` columns. */
  readonly registers: Registers;
}

export type ColumnType =
  "text" | "text[]" | "numeric" | "boolean" | "timestamptz" | "jsonb";

/** A column and where its value comes from. */
export type Column = {
  readonly type: ColumnType;
  /** A row without it is no row. */
  readonly isRequired?: boolean;
  /** `explain` passes over it: it tells of events, or which card it is. */
  readonly isBookkeeping?: boolean;
} & (
  | { readonly from: "key" }
  /** A register: the statement with the greatest clock stands. `clock`: as below. */
  | { readonly from: "latest"; readonly of?: "clock" }
  /** A register: the earliest time stands. `clock`: it is the `at` of its own clock, and moves with it. */
  | { readonly from: "earliest"; readonly of: "clock" | "receipt" }
  /** Follows from the registers, and from which row it is. */
  | { readonly from: "registers"; readonly derive: Derive }
);

/** @param key as in `Statement` */
type Derive = (
  registers: Registers,
  key: readonly string[],
) => Json | undefined;

export function key(type: ColumnType): Column {
  return { type, from: "key", isRequired: true, isBookkeeping: true };
}

export function latest(type: ColumnType): Column {
  return { type, from: "latest" };
}

/** When the latest statement of it was true. */
export function latestTime(): Column {
  return { type: "timestamptz", from: "latest", of: "clock" };
}

export function earliest(of: "clock" | "receipt"): Column {
  return { type: "timestamptz", from: "earliest", of };
}

export function derived(type: ColumnType, derive: Derive): Column {
  return { type, from: "registers", derive };
}

/** Every statement sets it. */
export function required(column: Column): Column {
  return { ...column, isRequired: true };
}

export function bookkeeping(column: Column): Column {
  return { ...column, isBookkeeping: true };
}
