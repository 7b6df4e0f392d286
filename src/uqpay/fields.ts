import { z } from "zod";
import type { Instant } from "../domain/instant.ts";
import { instantFromEpochMs } from "../domain/instant.ts";
import type { Json, JsonObject } from "../domain/json.ts";
import { numeralOf } from "./parse-json.ts";

// A payment service generates no code from strings, which zod does otherwise to read objects faster.
z.config({ jitless: true });

/*
 * The kinds of values that UQPAY's events are made of. Each reads every form that UQPAY's pages, SDKs and REST
 * examples show, and gives one form of ours. Messages name what is wrong and never repeat the value: it may be
 * personal.
 */

/** What is wrong with a field, by its dotted path in the delivered JSON (`data.card_id`). */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

/** What is wrong in a list or an object, by the path inside of it. */
interface Fault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** A reader gives the value, or says what is wrong with it. */
export type Reading<Value> =
  | { readonly value: Value }
  | { readonly fault: string }
  | { readonly faults: readonly Fault[] };

type Reader<Value> = (input: unknown) => Reading<Value>;

/** A field that must be there: without it the event is refused. */
export function required<Value>(read: Reader<Value>) {
  return z.transform((input: unknown, context): Value => {
    if (isAbsent(input)) return fail(context, [inside("is required")]);
    return unwrap(read(input), context);
  });
}

/**
 * A field that may be missing, null or one of UQPAY's markers for "not set". What cannot be read never refuses the
 * event: it counts as not stated, see `statedIn`.
 */
export function optional<Value>(read: Reader<Value>) {
  return z
    .transform((input: unknown): Value | undefined | Unreadable => {
      if (isAbsent(input)) return undefined;
      const reading = read(input);
      return "value" in reading
        ? reading.value
        : new Unreadable(faultsIn(reading));
    })
    .optional();
}

/** A field of a list or an object, which is unreadable whole where a part of it is: half an MCC list is a wrong one. */
export function part<Value>(read: Reader<Value>) {
  return z
    .transform((input: unknown, context) =>
      unwrap(orAbsent(read)(input), context),
    )
    .optional();
}

/** A reader of what may be absent. */
export function orAbsent<Value>(
  read: Reader<Value>,
): Reader<Value | undefined> {
  return (input) => (isAbsent(input) ? { value: undefined } : read(input));
}

/** A reader of what a schema describes. */
export function readWith<Schema extends z.ZodType>(
  schema: Schema,
): Reader<z.output<Schema>> {
  return (input) => {
    // As text: zod would take the object that keeps a number exact for one with fields.
    const parsed = schema.safeParse(numeralOf(input) ?? input);
    return parsed.success
      ? { value: parsed.data }
      : { faults: parsed.error.issues };
  };
}

/** A reader of a list, which is refused before its elements are looked at when it is longer than any real one. */
export function listOf<Value>(
  read: Reader<Value>,
  longest: number,
  fault: string,
): Reader<Value[]> {
  return (input) => {
    if (!Array.isArray(input)) return { fault };
    if (input.length > longest)
      return { fault: `must have at most ${String(longest)} entries` };
    const values: Value[] = [];
    const faults: Fault[] = [];
    for (const [index, element] of input.entries()) {
      const reading = read(element);
      if ("value" in reading) values.push(reading.value);
      for (const { path, message } of faultsIn(reading))
        faults.push({ path: [index, ...path], message });
    }
    return faults.length === 0 ? { value: values } : { faults };
  };
}

/** Stands for an optional field that cannot be read. */
class Unreadable {
  readonly faults: readonly Fault[];
  constructor(faults: readonly Fault[]) {
    this.faults = faults;
  }
}

/** Fields without what cannot be read of them. */
export type Stated<Fields> = {
  readonly [Name in keyof Fields]: Exclude<Fields[Name], Unreadable>;
};

/** What an event states, and what is wrong with what it does not. */
export interface Statement<Fields> {
  readonly fields: Stated<Fields>;
  readonly unreadable: readonly Issue[];
}

/** Takes out what cannot be read. @param parents of the fields, in the delivered JSON */
export function statedIn<Fields extends object>(
  fields: Fields,
  parents: readonly string[],
): Statement<Fields> {
  const unreadable: Issue[] = [];
  const stated: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Unreadable)
      unreadable.push(...issuesOf(value.faults, [...parents, name]));
    else stated[name] = value;
  }
  return { fields: stated as Stated<Fields>, unreadable };
}

/** The first few are enough to mend a payload; a hostile one could have a hundred thousand. */
const MOST_ISSUES = 20;

/** @param parents of the faults, in the delivered JSON */
export function issuesOf(
  faults: readonly Fault[],
  parents: readonly string[],
): Issue[] {
  return faults.slice(0, MOST_ISSUES).map(({ path, message }) => ({
    path: [...parents, ...path].map(String).join("."),
    message,
  }));
}

/** @returns nothing where it can be read */
export function faultsIn(reading: Reading<unknown>): readonly Fault[] {
  if ("value" in reading) return [];
  return "faults" in reading ? reading.faults : [inside(reading.fault)];
}

function inside(message: string): Fault {
  return { path: [], message };
}

function unwrap<Value>(
  reading: Reading<Value>,
  context: z.RefinementCtx,
): Value {
  return "value" in reading ? reading.value : fail(context, faultsIn(reading));
}

function fail(context: z.RefinementCtx, faults: readonly Fault[]): never {
  for (const { path, message } of faults)
    context.addIssue({ code: "custom", path: [...path], message });
  return z.NEVER;
}

/** `""` stands for "not set" in every event. */
export function isAbsent(input: unknown): boolean {
  return input === undefined || input === null || input === "";
}

/** PostgreSQL's `text` has no NUL and no lone surrogate; two ids that differ only there would become one. */
function isStorableText(text: string): boolean {
  return !text.includes("\u0000") && text.isWellFormed();
}

const UNSTORABLE = "must not contain NUL or half a surrogate pair";

const LONGEST_ID = 255;

/** Opaque text of 1 to 255 characters: UQPAY's own examples hold ids that are no UUIDs. */
export function readId(input: unknown): Reading<string> {
  if (typeof input !== "string") return { fault: "must be text" };
  if (input === "" || isLongerThan(input, LONGEST_ID)) {
    return { fault: `must have 1 to ${String(LONGEST_ID)} characters` };
  }
  return isStorableText(input) ? { value: input } : { fault: UNSTORABLE };
}

/** Counts characters, not UTF-16 units, as PostgreSQL does. */
function isLongerThan(text: string, limit: number): boolean {
  if (text.length <= limit) return false;
  return text.length > 2 * limit || [...text].length > limit;
}

/** Free text: descriptions, names. Numbers are read as text (`authorization_code` is one in REST examples). */
export function readText(input: unknown): Reading<string> {
  const numeral = numeralOf(input);
  if (numeral !== undefined) return { value: numeral };
  if (typeof input === "boolean") return { value: String(input) };
  if (typeof input !== "string") return { fault: "must be text" };
  return isStorableText(input) ? { value: input } : { fault: UNSTORABLE };
}

const LONGEST_WORD = 255;

/** Short text that is indexed or compared: kinds, currencies, masks. Bounded, since an index entry is. */
export function readWord(input: unknown): Reading<string> {
  const text = readText(input);
  if (!("value" in text) || !isLongerThan(text.value, LONGEST_WORD))
    return text;
  return { fault: `must have at most ${String(LONGEST_WORD)} characters` };
}

/** An open enumeration, in upper case: unknown words are kept, known ones compare. */
export function readStatus(input: unknown): Reading<string> {
  if (typeof input !== "string") return { fault: "must be text" };
  const word = readWord(input);
  if (!("value" in word)) return word;
  const status = word.value.trim().toUpperCase();
  return status === "" ? { fault: "must not be blank" } : { value: status };
}

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,6}))?$/i;

/** Far beyond any money, and far within `numeric` (131,072 digits before the point). */
const MOST_DIGITS = 200;

/** A decimal, as text or number, to decimal text without an exponent. Trailing zeros stay: `1.10` is `1.10`. */
export function readAmount(input: unknown): Reading<string> {
  const text = numeralOf(input) ?? input;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    typeof text === "string" ? (DECIMAL.exec(text.trim()) ?? []) : [];
  if (whole + fraction === "")
    return { fault: "must be a decimal, as text or number" };
  const shift = Number(exponent);
  if (whole.length + fraction.length + Math.abs(shift) > MOST_DIGITS) {
    return { fault: `must have at most ${String(MOST_DIGITS)} digits` };
  }
  const isZero = /^0*$/.test(whole + fraction);
  return {
    value:
      (sign === "-" && !isZero ? "-" : "") + shiftPoint(whole, fraction, shift),
  };
}

function shiftPoint(whole: string, fraction: string, shift: number): string {
  const digits =
    shift >= 0
      ? whole + fraction.padEnd(shift, "0")
      : whole.padStart(1 - shift, "0") + fraction;
  const decimals = Math.max(0, fraction.length - shift);
  const point = digits.length - decimals;
  const wholePart = digits.slice(0, point).replace(/^0+(?=\d)/, "") || "0";
  return decimals === 0 ? wholePart : `${wholePart}.${digits.slice(point)}`;
}

const AMOUNT_GLUED_TO_CURRENCY = /^([+-]?[\d.]*)\s*[A-Z]{3}$/i;

/** `"2000USD"` is 2000 and `"USD"` is unset (`no_pin_payment_amount`). */
export function readGluedAmount(input: unknown): Reading<string | undefined> {
  const glued =
    typeof input === "string"
      ? AMOUNT_GLUED_TO_CURRENCY.exec(input.trim())
      : null;
  if (glued === null) return readAmount(input);
  return glued[1] ? readAmount(glued[1]) : { value: undefined };
}

/** Four digits. What has lost its leading zeros, as a number has, gets them back. */
export function readMcc(input: unknown): Reading<string> {
  const text = numeralOf(input) ?? input;
  if (typeof text === "string" && /^\d{1,4}$/.test(text.trim()))
    return { value: text.trim().padStart(4, "0") };
  return { fault: "must be a merchant category code of one to four digits" };
}

const INSTANT =
  /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:Z|([+-]\d{2})(?::?(\d{2}))?)$/i;

/** ISO 8601 with an offset and 0 to 9 decimals; kept to the microsecond, as PostgreSQL does. */
export function readInstant(input: unknown): Reading<Instant> {
  const fault = "must be an ISO 8601 time with an offset";
  const [, date = "", minute = "", second = "00", decimals = "", ...offset] =
    typeof input === "string" && !isZeroDate(input)
      ? (INSTANT.exec(input.trim()) ?? [])
      : [];
  const [hours = "+00", minutes = "00"] = offset;
  const written = `${date}T${minute}:${second}`;
  const localMs = Date.parse(`${written}Z`);
  const offsetMinutes = toMinutes(hours, minutes);
  if (Number.isNaN(localMs) || offsetMinutes === undefined) return { fault };
  const utcMs = localMs - offsetMinutes * 60_000;
  if (utcMs < EARLIEST_MS || utcMs > LATEST_MS) return { fault };
  // Date.parse turns 30 February into 2 March and 24:00 into the next day.
  return instantFromEpochMs(localMs).startsWith(written)
    ? { value: instantFromEpochMs(utcMs, decimals) }
    : { fault };
}

/** The years 0001 to 9999, which both PostgreSQL and our form can write. */
const EARLIEST_MS = Date.parse("0001-01-01T00:00:00Z");
const LATEST_MS = Date.parse("9999-12-31T23:59:59Z");

/** As `readInstant`, where the time may be UQPAY's zero date, which stands for "not set". */
export function readInstantOrUnset(
  input: unknown,
): Reading<Instant | undefined> {
  return isZeroDate(input) ? { value: undefined } : readInstant(input);
}

function isZeroDate(input: unknown): boolean {
  return typeof input === "string" && input.startsWith("0001-01-01");
}

function toMinutes(hours: string, minutes: string): number | undefined {
  const total = Math.abs(Number(hours)) * 60 + Number(minutes);
  // The widest offset that any clock on earth has used is below 16 hours; PostgreSQL's limit is the same.
  if (Number(minutes) > 59 || total >= 16 * 60) return undefined;
  return hours.startsWith("-") ? -total : total;
}

const DEEPEST_JSON = 16;

/**
 * A JSON object, where `jsonb` can hold it: bounded in depth, without NUL and lone surrogates. A number that JavaScript
 * would change becomes text, as it was written.
 */
export function readJsonObject(input: unknown): Reading<JsonObject> {
  return isObject(input)
    ? (readJson(input, DEEPEST_JSON) as Reading<JsonObject>)
    : { fault: "must be an object" };
}

function readJson(value: unknown, depth: number): Reading<Json> {
  if (typeof value === "number") return { value };
  const text = numeralOf(value) ?? value;
  if (typeof text === "string")
    return isStorableText(text) ? { value: text } : { fault: UNSTORABLE };
  if (typeof value !== "object" || value === null)
    return { value: value as Json };
  if (depth === 0)
    return { fault: `must be nested at most ${String(DEEPEST_JSON)} deep` };
  const entries: [string, Json][] = [];
  for (const [key, member] of Object.entries(value)) {
    if (!isStorableText(key)) return { fault: UNSTORABLE };
    const reading = readJson(member, depth - 1);
    if (!("value" in reading)) return reading;
    entries.push([key, reading.value]);
  }
  return {
    value: Array.isArray(value)
      ? entries.map(([, member]) => member)
      : Object.fromEntries(entries),
  };
}

export function isObject(
  value: unknown,
): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    numeralOf(value) === undefined
  );
}
