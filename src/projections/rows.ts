import type { CardEvent } from "../domain/card-event.ts";
import type { Instant } from "../domain/instant.ts";
import { earlier } from "../domain/instant.ts";
import type { Json } from "../domain/json.ts";
import { textOf } from "../domain/json.ts";
import type { Register, Registers } from "../domain/registers.ts";
import { mergeRegisters } from "../domain/registers.ts";
import {
  readClocks,
  UnreadableClocksError,
  writeClocks,
} from "./field-clocks.ts";
import type { Column, Projection, Statement } from "./projection.ts";

/** A row as PostgreSQL gives and takes it: NULL is null. Amounts, instants and ids are text. */
export type Row = Readonly<Record<string, Json>>;

/** What is known of some rows of one projection, by `idOf` their keys. */
export type Known = ReadonlyMap<string, KnownRow>;

export interface KnownRow {
  readonly key: readonly string[];
  readonly registers: Registers;
}

/** One text for a key of any number of columns. */
export function idOf(key: readonly string[]): string {
  return key.length === 1 ? String(key[0]) : JSON.stringify(key);
}

/** The key that `idOf` made a text of. */
export function keyOfId(projection: Projection, id: string): string[] {
  return keyColumns(projection).length === 1
    ? [id]
    : (JSON.parse(id) as string[]);
}

export function keyColumns({ columns }: Projection): string[] {
  return Object.keys(columns).filter((name) => columns[name]?.from === "key");
}

/** Whether events about several cards may speak of one row: its key does not name the card. */
export function isSharedByCards(projection: Projection): boolean {
  return !keyColumns(projection).includes("card_id");
}

/** Whether its rows say which card they are about, where they are about one. */
export function hasCard({ columns }: Projection): boolean {
  return "card_id" in columns;
}

/** What is stored because events state it; the other columns are derived. */
export function registerColumns({ columns }: Projection): string[] {
  return Object.keys(columns).filter((name) => isRegister(columns[name]));
}

function isRegister(column: Column | undefined): boolean {
  return column?.from === "latest" || column?.from === "earliest";
}

export function statementsIn(
  projection: Projection,
  events: readonly CardEvent[],
): Statement[] {
  return events.flatMap((event) => projection.statementsIn(event));
}

/** The keys of the rows that these statements are about, each once. */
export function keysOf(
  statements: readonly Statement[],
): (readonly string[])[] {
  return [...new Map(statements.map(({ key }) => [idOf(key), key])).values()];
}

/** @returns what is known afterwards; a row that nothing changes is the same object as before */
export function fold(
  projection: Projection,
  known: Known,
  statements: readonly Statement[],
): Known {
  const after = new Map(known);
  for (const { key, registers } of statements) {
    const id = idOf(key);
    const before = after.get(id);
    const merged = merge(projection, before?.registers ?? {}, registers);
    if (merged !== before?.registers) after.set(id, { key, registers: merged });
  }
  return after;
}

export function merge(
  { columns }: Projection,
  known: Registers,
  news: Registers,
): Registers {
  return mergeRegisters(known, news, (column) =>
    columns[column]?.from === "earliest" ? "earliest" : "latest",
  );
}

/** @returns undefined where no event explains the row: a column that every statement sets is not known */
export function toRow(
  projection: Projection,
  known: KnownRow,
): Row | undefined {
  const row = columnsOf(projection, known);
  const isWhole = Object.entries(projection.columns).every(
    ([name, { isRequired }]) => isRequired !== true || row[name] !== null,
  );
  return isWhole ? row : undefined;
}

/** As much of the row as is known. */
export function columnsOf(projection: Projection, known: KnownRow): Row {
  const row: Record<string, Json> = {};
  const parts = known.key.values();
  for (const [name, column] of Object.entries(projection.columns))
    row[name] = valueOf(name, column, parts, known) ?? null;
  row["field_clocks"] = writeClocks(known.registers);
  return row;
}

/** @param parts the key's, in the order of its columns */
function valueOf(
  name: string,
  column: Column,
  parts: Iterator<string>,
  { key, registers }: KnownRow,
): Json | undefined {
  switch (column.from) {
    case "key":
      return parts.next().value as string | undefined;
    case "latest":
    case "earliest":
      return registers[name]?.value;
    case "registers":
      return column.derive(registers, key);
  }
}

/** @throws UnreadableClocksError */
export function readRow(projection: Projection, row: Row): KnownRow {
  const known = readRowIfPossible(projection, row);
  if (known === undefined)
    throw new UnreadableClocksError(
      projection.table,
      idOf(keyOfRow(projection, row)),
    );
  return known;
}

/**
 * The registers of a row: what its columns have, by the clocks that stand beside them. A column without a clock is not
 * known, whatever it has. A clock of a column that is none here is passed over: a release may have dropped it.
 */
export function readRowIfPossible(
  projection: Projection,
  row: Row,
): KnownRow | undefined {
  const clocks = readClocks(row["field_clocks"] ?? null);
  if (clocks === undefined) return undefined;
  const registers: Record<string, Register> = {};
  for (const [name, clock] of clocks)
    if (isRegister(projection.columns[name]))
      registers[name] = { value: row[name] ?? null, clock };
  return { key: keyOfRow(projection, row), registers };
}

export function keyOfRow(projection: Projection, row: Row): string[] {
  return keyColumns(projection).map((name) => textOf(row[name]));
}

/**
 * Dates anew what some events set, by the earlier time at which a copy of each was signed. No own time of an event is
 * later than that, so what was dated later was dated by the signing.
 *
 * @param signedAtOf by event_id; what others set stays as it is
 */
export function dateBack(
  { columns }: Projection,
  registers: Registers,
  signedAtOf: ReadonlyMap<string, Instant>,
): Registers {
  return Object.fromEntries(
    Object.entries(registers).map(([name, { value, clock }]) => {
      const signedAt = signedAtOf.get(clock.eventId) ?? clock.signedAt;
      const at = earlier(clock.at, signedAt);
      const isTime = isTimeOfClock(columns[name]);
      return [
        name,
        { value: isTime ? at : value, clock: { ...clock, at, signedAt } },
      ];
    }),
  );
}

function isTimeOfClock(column: Column | undefined): boolean {
  return column !== undefined && "of" in column && column.of === "clock";
}
