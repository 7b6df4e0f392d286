import type { Clock } from "../domain/clock.ts";
import { compareClocks } from "../domain/clock.ts";
import type { Instant } from "../domain/instant.ts";
import type { Json } from "../domain/json.ts";
import type { NewRegisters, Register, Registers } from "../domain/registers.ts";
import { remember } from "../domain/remember.ts";

/** One entry of the column `field_clocks`: a clock and the fields that it set. */
interface FieldClock {
  at: Instant;
  signed_at: Instant;
  event_id: string;
  finality?: number;
  authority?: number;
  /**
   * The names of columns with a space between two of them: one text is read and written in a fraction of the time that a
   * list takes, here and in PostgreSQL. Earlier builds wrote a list.
   */
  fields: string | readonly string[];
}

type Values<Fields> = {
  readonly [Field in keyof Fields]: Fields[Field] | null;
};

/** Writes and reads the column `field_clocks` of one table. */
export interface FieldClocks<Fields extends object> {
  /** One entry for each distinct clock, so that a row stays small: most of a card comes from one or two events. */
  readonly write: (registers: Registers<Fields>) => Json;
  /** The same, as the text of the JSON: the objects in between were a fifth of what applying an event leaves to collect. */
  readonly writeText: (registers: Registers<Fields>) => string;
  /**
   * Puts the clocks of a row back to its values.
   *
   * @param values by field; a field without a clock is not known, whatever its column says
   */
  readonly read: (entries: Json, values: Values<Fields>) => Registers<Fields>;
  /** The clocks alone: `unread` stands for each value. */
  readonly readClocks: (entries: Json, unread: never) => Registers<Fields>;
}

/**
 * @param fields all that the table has. They are put in order here, once: to sort those of each row took Node.js 2 us
 * and 2.5 KiB
 */
export function fieldClocks<Fields extends object>(
  fields: Readonly<Record<keyof Fields & string, true>>,
): FieldClocks<Fields> {
  const names = Object.keys(fields).sort() as (keyof Fields & string)[];
  if (names.length > MOST_FIELDS)
    throw new Error(`no more than ${String(MOST_FIELDS)} fields`);
  const columns = names.map(toColumn);
  const listFields = remember(SETS_REMEMBERED, (set: number) =>
    listColumns(columns, set),
  );
  const readFields = remember(SETS_REMEMBERED, (list: string) =>
    setOfColumns(columns, list),
  );
  const writeText = (registers: Registers<Fields>) =>
    writeEntries(registers, names, listFields);
  return {
    write: (registers) => JSON.parse(writeText(registers)) as Json,
    writeText,
    read: (entries, values) =>
      registersIn(
        names,
        readEntries(entries, readFields),
        (name, { clock }) => {
          const value = values[name];
          return value === null ? undefined : { value, clock };
        },
      ),
    readClocks: (entries, unread) =>
      registersIn(
        names,
        // The fields of an entry share one register: nothing tells them apart.
        readEntries(entries, readFields).map(({ clock, set }) => ({
          register: { value: unread, clock },
          set,
        })),
        (_name, { register }) => register,
      ),
  };
}

/** The column is read by people, so it speaks of columns: `cardNumber` is `card_number`. */
function toColumn(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A set of fields is a number, one bit for each; so many bits have the numbers that V8 keeps without an object. */
const MOST_FIELDS = 30;

/** @param set the n-th column is in it where its n-th bit is 1 */
function listColumns(columns: readonly string[], set: number): string {
  return columns.filter((_, at) => set & (1 << at)).join(" ");
}

/** What is no column is left out: a later release may have renamed or dropped it. */
function setOfColumns(columns: readonly string[], list: string): number {
  return list
    .split(" ")
    .map((column) => columns.indexOf(column))
    .reduce((set, at) => (at < 0 ? set : set | (1 << at)), 0);
}

/** Rows have few different sets of fields that one clock set. */
const SETS_REMEMBERED = 1_000;

interface Entry {
  readonly clock: Clock;
  /** Of fields: see `MOST_FIELDS`. */
  set: number;
}

function writeEntries<Fields extends object>(
  registers: Registers<Fields>,
  names: readonly (keyof Fields)[],
  listFields: (set: number) => string,
): string {
  const entries: Entry[] = [];
  for (let at = 0; at < names.length; at++) {
    const clock = registers[names[at] as keyof Fields]?.clock;
    if (clock === undefined) continue;
    entryFor(entries, clock).set |= 1 << at;
  }
  let text = "";
  for (const { clock, set } of entries)
    text += `${text === "" ? "[" : ","}${writeEntry(clock, listFields(set))}`;
  return text === "" ? "[]" : `${text}]`;
}

/** The entry of this clock, put where it belongs in the order of clocks if it is not there yet. */
function entryFor(entries: Entry[], clock: Clock): Entry {
  let at = entries.length;
  for (; at > 0; at--) {
    const entry = entries[at - 1] as Entry;
    const order = entry.clock === clock ? 0 : compareClocks(entry.clock, clock);
    if (order === 0) return entry;
    if (order < 0) break;
  }
  const entry = { clock, set: 0 };
  entries.splice(at, 0, entry);
  return entry;
}

/** What stands in JSON as it is; nearly all ids do. */
const NEEDS_NO_ESCAPE = /^[\w.:-]*$/;

function quote(text: string): string {
  return NEEDS_NO_ESCAPE.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** As `FieldClock`. Instants and the names of columns need no escaping. */
function writeEntry(
  { at, signedAt, eventId, finality, authority }: Clock,
  fields: string,
): string {
  const text = `{"at":"${at}","signed_at":"${signedAt}","event_id":${quote(eventId)},"fields":"${fields}"`;
  if (finality === 0 && authority === 0) return `${text}}`;
  const finalityText = finality === 0 ? "" : `,"finality":${String(finality)}`;
  const authorityText =
    authority === 0 ? "" : `,"authority":${String(authority)}`;
  return `${text}${finalityText}${authorityText}}`;
}

function readEntries(
  entries: Json,
  readFields: (list: string) => number,
): readonly Entry[] {
  return (entries as unknown as readonly FieldClock[]).map((entry) => ({
    clock: clockIn(entry),
    set: readFields(
      typeof entry.fields === "string" ? entry.fields : entry.fields.join(" "),
    ),
  }));
}

/**
 * Each field from the one entry that has it. In the order of `names`, whatever that of the entries: V8 then has one shape
 * for most rows, and finds a field fast.
 */
function registersIn<Fields extends object, Holder extends { set: number }>(
  names: readonly (keyof Fields)[],
  entries: readonly Holder[],
  registerOf: <Field extends keyof Fields>(
    name: Field,
    entry: Holder,
  ) => Register<Fields[Field]> | undefined,
): Registers<Fields> {
  const registers: NewRegisters<Fields> = {};
  for (let at = 0; at < names.length; at++) {
    const name = names[at] as keyof Fields;
    for (const entry of entries)
      if (entry.set & (1 << at)) {
        const register = registerOf(name, entry);
        if (register !== undefined) registers[name] = register;
        break;
      }
  }
  return registers;
}

function clockIn(entry: FieldClock): Clock {
  return {
    finality: entry.finality ?? 0,
    authority: entry.authority ?? 0,
    at: entry.at,
    signedAt: entry.signed_at,
    eventId: entry.event_id,
  };
}
