import type { Clock } from "../domain/clock.ts";
import { compareClocks } from "../domain/clock.ts";
import type { Instant } from "../domain/instant.ts";
import { INSTANT_LENGTH, instantAt, numberAt } from "../domain/instant.ts";
import type { Json } from "../domain/json.ts";
import type { NewRegisters, Register, Registers } from "../domain/registers.ts";
import { remember } from "../domain/remember.ts";

/**
 * One entry of the column `field_clocks`: a clock and the fields that it set, as
 *
 *     <at> <signed_at> <finality> <authority> <names of columns, with commas> <event_id>
 *
 * The id stands last, since it may hold anything. One text is read and written in a fraction of the time that an object
 * takes: for the three clocks of a card PostgreSQL needs 2 us instead of 5 to read them, and 5 us less to write them.
 */
type Entry = string;

/** Earlier builds wrote an object for each clock. */
interface EarlierEntry {
  readonly at: Instant;
  readonly signed_at: Instant;
  readonly event_id: string;
  readonly finality?: number;
  readonly authority?: number;
  /** The names with a space between two of them, and before that as a list. */
  readonly fields: string | readonly string[];
}

/** Somebody has changed the column by hand: an event that is applied to such a row might undo what a later one said. */
export class UnreadableClocksError extends Error {
  constructor() {
    super("field_clocks hold what no build writes: `rebuild` the card");
    this.name = "UnreadableClocksError";
  }
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
   * @throws UnreadableClocksError
   */
  readonly read: (entries: Json, values: Values<Fields>) => Registers<Fields>;
  /** As `read`, and nothing where that throws: whoever looks for what was changed by hand must not stumble over it. */
  readonly readIfPossible: (
    entries: Json,
    values: Values<Fields>,
  ) => Registers<Fields>;
  /**
   * The clocks alone: `unread` stands for each value.
   *
   * @throws UnreadableClocksError
   */
  readonly readClocks: (entries: Json, unread: never) => Registers<Fields>;
  /**
   * What an earlier build wrote of a row, as this one writes it. What this one wrote stays as it is, so that a change by
   * hand is still seen.
   */
  readonly rewrite: (entries: Json, row: object) => Json;
}

/**
 * @param fields all that the table has. They are put in order here, once: to sort those of each row took Node.js 2 us
 * and 2.5 KiB
 * @param abbreviated a clock that all fields of a row share is written as that of `*`: for a table whose rows come from one
 * event as a rule, and are read with their values, since `*` does not say which fields are known
 */
export function fieldClocks<Fields extends object>(
  fields: Readonly<Record<keyof Fields & string, true>>,
  { abbreviated = false }: { readonly abbreviated?: boolean } = {},
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
  const writeClocks = (clocks: readonly Dated[], known: number) =>
    writeEntries(clocks, (set) =>
      abbreviated && set === known ? ALL : listFields(set),
    );
  const writeText = (registers: Registers<Fields>) => {
    const clocks = clocksOf(registers, names);
    return writeClocks(clocks, allOf(clocks));
  };
  const read = (entries: Json, values: Values<Fields>): Registers<Fields> =>
    registersIn(names, readEntries(entries, readFields), (name, { clock }) => {
      const value = values[name];
      return value === null ? undefined : { value, clock };
    });
  return {
    write: (registers) => JSON.parse(writeText(registers)) as Json,
    writeText,
    read,
    readIfPossible: (entries, values) => {
      try {
        return read(entries, values);
      } catch (error) {
        if (error instanceof UnreadableClocksError) return {};
        throw error;
      }
    },
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
    rewrite: (entries, row) =>
      isOfEarlierBuild(entries)
        ? (JSON.parse(
            writeClocks(
              readEntries(entries, readFields),
              knownIn(row, columns),
            ),
          ) as Json)
        : entries,
  };
}

/** The column is read by people, so it speaks of columns: `cardNumber` is `card_number`. */
function toColumn(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A set of fields is a number, one bit for each; so many bits have the numbers that V8 keeps without an object. */
const MOST_FIELDS = 30;

/** In place of the names: every field of the row that has a value. */
const ALL = "*";

/** @param set the n-th column is in it where its n-th bit is 1 */
function listColumns(columns: readonly string[], set: number): string {
  return columns.filter((_, at) => set & (1 << at)).join();
}

/** What is no column is left out: a later release may have renamed or dropped it. */
function setOfColumns(columns: readonly string[], list: string): number {
  if (list === ALL) return (1 << columns.length) - 1;
  return list
    .split(",")
    .map((column) => columns.indexOf(column))
    .reduce((set, at) => (at < 0 ? set : set | (1 << at)), 0);
}

/** The set of all that a row knows: what is not NULL, and a field without a column of its own, such as the last event. */
function knownIn(row: object, columns: readonly string[]): number {
  const values = new Map<string, unknown>(Object.entries(row));
  return columns.reduce(
    (set, column, at) => (values.get(column) === null ? set : set | (1 << at)),
    0,
  );
}

/** Rows have few different sets of fields that one clock set. */
const SETS_REMEMBERED = 1_000;

interface Dated {
  readonly clock: Clock;
  /** Of fields: see `MOST_FIELDS`. */
  set: number;
}

/** The distinct clocks of a row, in their order. */
function clocksOf<Fields extends object>(
  registers: Registers<Fields>,
  names: readonly (keyof Fields)[],
): readonly Dated[] {
  const clocks: Dated[] = [];
  for (let at = 0; at < names.length; at++) {
    const clock = registers[names[at] as keyof Fields]?.clock;
    if (clock === undefined) continue;
    datedBy(clocks, clock).set |= 1 << at;
  }
  return clocks;
}

function allOf(clocks: readonly Dated[]): number {
  let all = 0;
  for (const { set } of clocks) all |= set;
  return all;
}

function writeEntries(
  clocks: readonly Dated[],
  listFields: (set: number) => string,
): string {
  const pieces: string[] = [];
  for (const { clock, set } of clocks) {
    const begin = pieces.length === 0 ? '["' : ',"';
    addEntry(pieces, begin, clock, listFields(set));
  }
  pieces.push(pieces.length === 0 ? "[]" : "]");
  return pieces.join("");
}

/** What has this clock, put where it belongs in the order of clocks if it is not there yet. */
function datedBy(clocks: Dated[], clock: Clock): Dated {
  let at = clocks.length;
  for (; at > 0; at--) {
    const dated = clocks[at - 1] as Dated;
    const order = dated.clock === clock ? 0 : compareClocks(dated.clock, clock);
    if (order === 0) return dated;
    if (order < 0) break;
  }
  const dated = { clock, set: 0 };
  clocks.splice(at, 0, dated);
  return dated;
}

/** What stands in JSON as it is; nearly all ids do. */
const NEEDS_NO_ESCAPE = /^[\w.:-]*$/;

/**
 * As JSON. Instants, numbers and the names of columns need no escaping. In pieces, to be joined once: a text that is added
 * to piece by piece is a tree of them to V8.
 */
function addEntry(
  pieces: string[],
  begin: string,
  { at, signedAt, finality, authority, eventId }: Clock,
  fields: string,
): void {
  const rank = ` ${String(finality)} ${String(authority)} `;
  const end = NEEDS_NO_ESCAPE.test(eventId)
    ? eventId
    : JSON.stringify(eventId).slice(1, -1);
  pieces.push(begin, at, " ", signedAt, rank, fields, " ", end, '"');
}

/** No build mixes the two: each writes all the clocks of a row anew. */
function isOfEarlierBuild(entries: Json): boolean {
  return Array.isArray(entries) && entries.every(isEarlierEntry);
}

function readEntries(
  entries: Json,
  readFields: (list: string) => number,
): readonly Dated[] {
  if (!Array.isArray(entries)) throw new UnreadableClocksError();
  return (entries as readonly Json[]).map((entry) =>
    typeof entry === "string"
      ? readEntry(entry, readFields)
      : readEarlierEntry(entry, readFields),
  );
}

function readEntry(entry: Entry, readFields: (list: string) => number): Dated {
  const fieldsEnd = entry.indexOf(" ", FIELDS_AT);
  if (fieldsEnd < 0) throw new UnreadableClocksError();
  return {
    clock: {
      finality: numberAt(entry, FINALITY_AT, 1),
      authority: numberAt(entry, AUTHORITY_AT, 1),
      at: instantAt(entry, 0),
      signedAt: instantAt(entry, SIGNED_AT),
      eventId: entry.slice(fieldsEnd + 1),
    },
    set: readFields(entry.slice(FIELDS_AT, fieldsEnd)),
  };
}

const SIGNED_AT = INSTANT_LENGTH + 1;
const FINALITY_AT = SIGNED_AT + INSTANT_LENGTH + 1;
const AUTHORITY_AT = FINALITY_AT + 2;
const FIELDS_AT = AUTHORITY_AT + 2;

function isEarlierEntry(entry: unknown): entry is EarlierEntry {
  if (typeof entry !== "object" || entry === null) return false;
  const { at, signed_at, event_id, fields, finality, authority } =
    entry as Record<keyof EarlierEntry, unknown>;
  return (
    [at, signed_at, event_id].every((text) => typeof text === "string") &&
    (typeof fields === "string" || Array.isArray(fields)) &&
    [finality ?? 0, authority ?? 0].every((one) => typeof one === "number")
  );
}

function readEarlierEntry(
  entry: unknown,
  readFields: (list: string) => number,
): Dated {
  if (!isEarlierEntry(entry)) throw new UnreadableClocksError();
  const { fields } = entry;
  const names = typeof fields === "string" ? fields.split(" ") : fields;
  return {
    clock: {
      finality: entry.finality ?? 0,
      authority: entry.authority ?? 0,
      at: entry.at,
      signedAt: entry.signed_at,
      eventId: entry.event_id,
    },
    set: readFields(names.join()),
  };
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
