import type { Instant } from "../domain/instant.ts";
import { instantFromEpochMs } from "../domain/instant.ts";
import type { Json, JsonObject } from "../domain/json.ts";
import { numeralOf } from "./parse-json.ts";

/*
 * The kinds of values that UQPAY's events are made of. Each reads every form that UQPAY's pages, SDKs and REST
 * examples show, and gives one form of ours.
 */

/** @throws Unreadable */
export type Reader<Value> = (input: unknown) => Value;

/** What is wrong with a field, by its dotted path in the delivered JSON (`data.card_id`). */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

/** Says what is wrong with a value and never repeats it: it may be personal. */
export class Unreadable extends Error {
  /** Where it is wrong, inside of a list or an object. */
  readonly path: readonly string[];
  constructor(message: string, path: readonly string[] = []) {
    super(message);
    this.path = path;
  }
}

interface Field<Value> {
  readonly read: Reader<Value>;
  readonly isRequired: boolean;
}

/** Fields of an object, by the names of the wire. */
export type Fields = Readonly<Record<string, Field<unknown>>>;

export type ValuesOf<Shape extends Fields> = {
  readonly [Name in keyof Shape]: ReturnType<Shape[Name]["read"]>;
};

/** A field that must be there: without it the event is refused. */
export function required<Value>(read: Reader<Value>): Field<Value> {
  return {
    isRequired: true,
    read: (input) => {
      if (isAbsent(input)) throw new Unreadable("is required");
      return read(input);
    },
  };
}

/**
 * A field that may be missing, null or one of UQPAY's markers for "not set". What cannot be read never refuses the
 * event: it counts as not stated.
 */
export function optional<Value>(read: Reader<Value>): Field<Value | undefined> {
  return { isRequired: false, read: orAbsent(read) };
}

/** What never refuses an event. */
export function optionalNames(fields: Fields): string[] {
  return Object.keys(fields).filter((name) => !fields[name]?.isRequired);
}

/**
 * Reads the fields of an object.
 *
 * @param parent what the path of the object begins with, in the delivered JSON
 * @returns the values, with the issues of optional fields; or why the object is refused
 */
export function readFields<Shape extends Fields>(
  fields: Shape,
  input: Readonly<Record<string, unknown>>,
  parent: string,
):
  | { readonly values: ValuesOf<Shape>; readonly unreadable: readonly Issue[] }
  | { readonly issues: readonly Issue[] } {
  const values: Record<string, unknown> = {};
  const issues: Issue[] = [];
  const unreadable: Issue[] = [];
  for (const [name, { read, isRequired }] of Object.entries(fields)) {
    try {
      values[name] = read(input[name]);
    } catch (error) {
      const { message, path: inside } = faultOf(error);
      const path = parent + [name, ...inside].join(".");
      const issue = { path, message };
      (isRequired ? issues : unreadable).push(issue);
    }
  }
  return issues.length > 0
    ? { issues }
    : { values: values as ValuesOf<Shape>, unreadable };
}

/** @throws what a reader threw where that is a mistake of ours */
function faultOf(error: unknown): Unreadable {
  if (error instanceof Unreadable) return error;
  throw error;
}

/** `""` stands for "not set" in every event. */
function isAbsent(input: unknown): boolean {
  return input === undefined || input === null || input === "";
}

export function orAbsent<Value>(
  read: Reader<Value>,
): Reader<Value | undefined> {
  return (input) => (isAbsent(input) ? undefined : read(input));
}

/** An object of which each part may be absent. It is unreadable whole where one of them is. */
export function objectOf<
  Parts extends Readonly<Record<string, Reader<unknown>>>,
>(
  parts: Parts,
  fault = "must be an object",
): Reader<{
  readonly [Name in keyof Parts]: ReturnType<Parts[Name]> | undefined;
}> {
  return (input) => {
    if (!isObject(input)) throw new Unreadable(fault);
    const entries = Object.entries(parts).map(([name, read]) => [
      name,
      readInside(name, orAbsent(read), input[name]),
    ]);
    return Object.fromEntries(entries) as ReturnType<
      ReturnType<typeof objectOf<Parts>>
    >;
  };
}

/**
 * A list, which is unreadable whole where one of its elements is: half an MCC list is a wrong one. One that is longer
 * than any real one is refused before its elements are looked at.
 */
export function listOf<Value>(
  read: Reader<Value>,
  longest: number,
  fault: string,
): Reader<Value[]> {
  return (input) => {
    if (!Array.isArray(input)) throw new Unreadable(fault);
    if (input.length > longest)
      throw new Unreadable(`must have at most ${longest} entries`);
    return input.map((element, at) => readInside(String(at), read, element));
  };
}

function readInside<Value>(
  name: string,
  read: Reader<Value>,
  input: unknown,
): Value {
  try {
    return read(input);
  } catch (error) {
    const { message, path } = faultOf(error);
    throw new Unreadable(message, [name, ...path]);
  }
}

/** PostgreSQL's `text` has no NUL and no lone surrogate; two ids that differ only there would become one. */
function storable(text: string): string {
  if (text.includes("\u0000") || !text.isWellFormed())
    throw new Unreadable("must not contain NUL or half a surrogate pair");
  return text;
}

/** Of an id and of a word, since an index entry is bounded. In characters, as PostgreSQL counts, not in UTF-16 units. */
const LONGEST = 255;

function isTooLong(text: string): boolean {
  if (text.length <= LONGEST) return false;
  return text.length > 2 * LONGEST || [...text].length > LONGEST;
}

/** Opaque text of 1 to 255 characters: UQPAY's own examples hold ids that are no UUIDs. */
export function readId(input: unknown): string {
  if (typeof input !== "string") throw new Unreadable("must be text");
  if (input === "" || isTooLong(input))
    throw new Unreadable(`must have 1 to ${LONGEST} characters`);
  return storable(input);
}

/** Free text: descriptions, names. Numbers are read as text (`authorization_code` is one in REST examples). */
export function readText(input: unknown): string {
  const text =
    typeof input === "boolean" ? String(input) : (numeralOf(input) ?? input);
  if (typeof text !== "string") throw new Unreadable("must be text");
  return storable(text);
}

/** Short text that is indexed or compared: kinds, currencies, masks. */
export function readWord(input: unknown): string {
  const text = readText(input);
  if (isTooLong(text))
    throw new Unreadable(`must have at most ${LONGEST} characters`);
  return text;
}

/** An open enumeration, in upper case: unknown words are kept, known ones compare. */
export function readStatus(input: unknown): string {
  if (typeof input !== "string") throw new Unreadable("must be text");
  const status = readWord(input).trim().toUpperCase();
  if (status === "") throw new Unreadable("must not be blank");
  return status;
}

const FLAGS: Readonly<Record<string, boolean>> = {
  TRUE: true,
  Y: true,
  FALSE: false,
  N: false,
};

/** Yes or no, as JSON has it or in the words of the risk controls. */
export function readFlag(input: unknown): boolean {
  const flag = FLAGS[readStatus(readText(input))];
  if (flag === undefined) throw new Unreadable("must be true or false");
  return flag;
}

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,6}))?$/i;

/** Far beyond any money, and far within `numeric` (131,072 digits before the point). */
const MOST_DIGITS = 200;

/** A decimal, as text or number, to decimal text without an exponent. Trailing zeros stay: `1.10` is `1.10`. */
export function readAmount(input: unknown): string {
  const text = numeralOf(input) ?? input;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    typeof text === "string" ? (DECIMAL.exec(text.trim()) ?? []) : [];
  if (whole + fraction === "")
    throw new Unreadable("must be a decimal, as text or number");
  const shift = Number(exponent);
  if (whole.length + fraction.length + Math.abs(shift) > MOST_DIGITS)
    throw new Unreadable(`must have at most ${MOST_DIGITS} digits`);
  const isZero = /^0*$/.test(whole + fraction);
  const minus = sign === "-" && !isZero ? "-" : "";
  return minus + shiftPoint(whole, fraction, shift);
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
export function readGluedAmount(input: unknown): string | undefined {
  const glued =
    typeof input === "string"
      ? AMOUNT_GLUED_TO_CURRENCY.exec(input.trim())
      : null;
  if (glued === null) return readAmount(input);
  return glued[1] ? readAmount(glued[1]) : undefined;
}

/** Four digits. What has lost its leading zeros, as a number has, gets them back. */
export function readMcc(input: unknown): string {
  const text = numeralOf(input) ?? input;
  if (typeof text !== "string" || !/^\d{1,4}$/.test(text.trim()))
    throw new Unreadable(
      "must be a merchant category code of one to four digits",
    );
  return text.trim().padStart(4, "0");
}

/** The widest offset that any clock on earth has used is below 16 hours; PostgreSQL's limit is the same. */
const INSTANT =
  /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:Z|([+-](?:0\d|1[0-5]))(?::?([0-5]\d))?)$/i;

/** The years 0001 to 9999, which both PostgreSQL and our form can write. */
const EARLIEST_MS = Date.parse("0001-01-01T00:00:00Z");
const LATEST_MS = Date.parse("9999-12-31T23:59:59Z");

/** ISO 8601 with an offset and 0 to 9 decimals; kept to the microsecond, as PostgreSQL does. */
export function readInstant(input: unknown): Instant {
  const found =
    typeof input === "string" && !isZeroDate(input)
      ? INSTANT.exec(input.trim())
      : null;
  const [, date = "", minute = "", second = "00", decimals = ""] = found ?? [];
  const local = `${date}T${minute}:${second}`;
  const ms = Date.parse(`${local}${found?.[5] ?? "+00"}:${found?.[6] ?? "00"}`);
  const localMs = Date.parse(`${local}Z`);
  // Date.parse turns 30 February into 2 March and 24:00 into the next day.
  const isDate =
    !Number.isNaN(localMs) && instantFromEpochMs(localMs).startsWith(local);
  if (!isDate || ms < EARLIEST_MS || ms > LATEST_MS)
    throw new Unreadable("must be an ISO 8601 time with an offset");
  return instantFromEpochMs(ms, decimals);
}

/** As `readInstant`, where the time may be UQPAY's zero date, which stands for "not set". */
export function readInstantOrUnset(input: unknown): Instant | undefined {
  return isZeroDate(input) ? undefined : readInstant(input);
}

function isZeroDate(input: unknown): boolean {
  return typeof input === "string" && input.startsWith("0001-01-01");
}

const DEEPEST_JSON = 16;

/**
 * A JSON object, where `jsonb` can hold it: bounded in depth, without NUL and lone surrogates. A number that JavaScript
 * would change becomes text, as it was written.
 */
export function readJsonObject(input: unknown): JsonObject {
  return toJson(readObject(input), DEEPEST_JSON) as JsonObject;
}

function toJson(value: unknown, depth: number): Json {
  if (typeof value === "number") return value;
  const text = numeralOf(value) ?? value;
  if (typeof text === "string") return storable(text);
  if (typeof value !== "object" || value === null) return value as Json;
  if (depth === 0)
    throw new Unreadable(`must be nested at most ${DEEPEST_JSON} deep`);
  if (Array.isArray(value))
    return value.map((member) => toJson(member, depth - 1));
  const entries = Object.entries(value).map(([key, member]) => [
    storable(key),
    toJson(member, depth - 1),
  ]);
  return Object.fromEntries(entries) as JsonObject;
}

export function readObject(input: unknown): Readonly<Record<string, unknown>> {
  if (!isObject(input)) throw new Unreadable("must be an object");
  return input;
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
