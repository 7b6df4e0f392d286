import { z } from "zod";
import type { Instant } from "../domain/instant.ts";
import { instantFromEpochMs, instantOf } from "../domain/instant.ts";
import type { Json, JsonObject } from "../domain/json.ts";
import { remember } from "../domain/remember.ts";
import { numeralOf } from "./parse-json.ts";

/*
 * The kinds of values that UQPAY's events are made of. Each reads every form that UQPAY's pages, SDKs and REST
 * examples show, and gives one form of ours. Messages name what is wrong and never repeat the value: it may be
 * personal.
 */

/** A reader gives the value, or says what is wrong with it. */
type Reading<Value> = { readonly value: Value } | { readonly fault: string };

/** A field that must be there. */
export function required<Value>(read: (input: unknown) => Reading<Value>) {
  return z.transform((input: unknown, context): Value => {
    if (isAbsent(input)) return fail(context, "is required");
    return unwrap(read(input), context);
  });
}

/** A field that may be missing, null or one of UQPAY's markers for "not set". */
export function optional<Value>(read: (input: unknown) => Reading<Value>) {
  return z
    .transform((input: unknown, context): Value | undefined =>
      isAbsent(input) ? undefined : unwrap(read(input), context),
    )
    .optional();
}

function unwrap<Value>(
  reading: Reading<Value>,
  context: z.RefinementCtx,
): Value {
  return "fault" in reading ? fail(context, reading.fault) : reading.value;
}

function fail(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}

/** `""` stands for "not set" in every event. */
function isAbsent(input: unknown): boolean {
  return input === undefined || input === null || input === "";
}

/** PostgreSQL's `text` has no NUL and no lone surrogate; two ids that differ only there would become one. */
function isStorableText(text: string): boolean {
  return !text.includes("\u0000") && text.isWellFormed();
}

function storableText(text: string): string {
  return isStorableText(text)
    ? text
    : text.toWellFormed().replaceAll("\u0000", "\ufffd");
}

const LONGEST_ID = 255;

/** Opaque text of 1 to 255 characters: UQPAY's own examples hold ids that are no UUIDs. */
export function readId(input: unknown): Reading<string> {
  if (!isText(input)) return { fault: "must be text" };
  if (input === "" || isLongerThan(input, LONGEST_ID)) {
    return { fault: `must have 1 to ${String(LONGEST_ID)} characters` };
  }
  if (!isStorableText(input))
    return { fault: "must not contain NUL or half a surrogate pair" };
  return { value: input };
}

/** Counts characters, not UTF-16 units, as PostgreSQL does. */
function isLongerThan(text: string, limit: number): boolean {
  if (text.length <= limit) return false;
  return text.length > 2 * limit || [...text].length > limit;
}

/** Free text: descriptions, names. Numbers are read as text (`authorization_code` is one in REST examples). */
export function readText(input: unknown): Reading<string> {
  const numeral = numeralOf(input);
  if (numeral !== undefined) return { value: storableText(numeral) };
  if (typeof input === "string") return { value: storableText(input) };
  return typeof input === "boolean"
    ? { value: String(input) }
    : { fault: "must be text" };
}

/** Text, and not a number that was kept as text. */
function isText(input: unknown): input is string {
  return typeof input === "string" && numeralOf(input) === undefined;
}

const LONGEST_WORD = 255;

/** Short text that is indexed or compared: kinds, currencies, masks. Bounded, since an index entry is. */
export function readWord(input: unknown): Reading<string> {
  const text = readText(input);
  if ("fault" in text || !isLongerThan(text.value, LONGEST_WORD)) return text;
  return { fault: `must have at most ${String(LONGEST_WORD)} characters` };
}

/** An open enumeration, in upper case: unknown words are kept, known ones compare. */
export function readStatus(input: unknown): Reading<string> {
  if (!isText(input)) return { fault: "must be text" };
  const word = readWord(input);
  if ("fault" in word) return word;
  const status = word.value.trim().toUpperCase();
  return status === "" ? { fault: "must not be blank" } : { value: status };
}

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,6}))?$/i;

/** Far beyond any money, and far within `numeric` (131,072 digits before the point). */
const MOST_DIGITS = 200;

/** A decimal that is its own decimal text: what nearly all amounts are. */
const PLAIN_DECIMAL = /^(?:0|[1-9]\d*)(?:\.\d+)?$/;

/** A decimal, as text or number, to decimal text without an exponent. Trailing zeros stay: `1.10` is `1.10`. */
export function readAmount(input: unknown): Reading<string> {
  const text = numeralOf(input) ?? input;
  if (
    typeof text === "string" &&
    text.length <= MOST_DIGITS &&
    PLAIN_DECIMAL.test(text)
  )
    return { value: text };
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

const AMOUNT_GLUED_TO_CURRENCY = /^([\d.]*)\s*[A-Z]{3}$/i;

/** `"2000USD"` is 2000 and `"USD"` is unset (`no_pin_payment_amount`). */
export function readGluedAmount(input: unknown): Reading<string | undefined> {
  const glued =
    typeof input === "string"
      ? AMOUNT_GLUED_TO_CURRENCY.exec(input.trim())
      : null;
  if (glued === null) return readAmount(input);
  return glued[1] ? readAmount(glued[1]) : { value: undefined };
}

/** Four digits. A number has lost its leading zeros and gets them back. */
export function readMcc(input: unknown): Reading<string> {
  const text = numeralOf(input)?.padStart(4, "0") ?? input;
  if (typeof text === "string" && /^\d{4}$/.test(text.trim()))
    return { value: text.trim() };
  return { fault: "must be a merchant category code of four digits" };
}

const INSTANT =
  /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:Z|([+-]\d{2})(?::?(\d{2}))?)$/i;

/** ISO 8601 with an offset and 0 to 9 decimals; kept to the microsecond, as PostgreSQL does. */
export function readInstant(input: unknown): Reading<Instant> {
  const fault = "must be an ISO 8601 time with an offset";
  if (typeof input !== "string" || isZeroDate(input)) return { fault };
  const text = plainInstant(input.trim());
  if (text === undefined) return { fault };
  const offsetAt = text.length - (text.endsWith("Z") ? 1 : "+HH:MM".length);
  const second = text.slice(0, SECOND_ENDS_AT);
  const utc = toUtc(
    text.endsWith("Z") ? second : second + text.slice(offsetAt),
  );
  if (utc === null) return { fault };
  const decimalsAt = SECOND_ENDS_AT + ".".length;
  return { value: instantOf(utc, 0, text, decimalsAt, offsetAt) };
}

const PLAIN_INSTANT =
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;
const SECOND_ENDS_AT = "YYYY-MM-DDTHH:MM:SS".length;

/**
 * Nearly all times have one form, `YYYY-MM-DDTHH:MM:SS`, decimals or none, and `Z` or `±HH:MM`. To look whether one has
 * it leaves nothing behind; only another is taken apart, and put together in that form.
 *
 * @returns undefined where it is no time
 */
function plainInstant(text: string): string | undefined {
  if (PLAIN_INSTANT.test(text)) return text;
  const match = INSTANT.exec(text);
  if (match === null) return undefined;
  const [, date, minute, second = "00", decimals = "0", ...offset] = match;
  const [hours = "+00", minutes = "00"] = offset;
  return `${String(date)}T${String(minute)}:${second}.${decimals}${hours}:${minutes}`;
}

/**
 * From `YYYY-MM-DDTHH:MM:SS`, in UTC or with `±HH:MM` behind, to its second in UTC; null where there is no such time.
 * What comes together happened in a few seconds: see `textOfSecond`.
 */
const toUtc = remember(100, (time: string): string | null => {
  const written = time.slice(0, SECOND_ENDS_AT);
  const local = Date.parse(`${written}Z`);
  // Date.parse turns 30 February into 2 March and 24:00 into the next day.
  if (Number.isNaN(local) || !instantFromEpochMs(local).startsWith(written))
    return null;
  const offset = time.slice(SECOND_ENDS_AT);
  const offsetMinutes =
    offset === "" ? 0 : toMinutes(offset.slice(0, -3), offset.slice(-2));
  if (offsetMinutes === undefined) return null;
  const utc = local - offsetMinutes * 60_000;
  return utc < EARLIEST_MS || utc > LATEST_MS
    ? null
    : instantFromEpochMs(utc).slice(0, SECOND_ENDS_AT);
});

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

/** A JSON object that `jsonb` can hold: bounded in depth, without NUL and lone surrogates. */
export function readJsonObject(input: unknown): Reading<JsonObject> {
  if (!isObject(input)) return { fault: "must be an object" };
  const value = storableJson(input, DEEPEST_JSON);
  if (value === undefined)
    return { fault: `must be nested at most ${String(DEEPEST_JSON)} deep` };
  return { value: value as JsonObject };
}

/**
 * @returns the value itself where it can be stored as it is, as nearly all can; undefined when it is nested deeper than
 *   `depth`
 */
export function storableJson(
  value: unknown,
  depth = DEEPEST_JSON,
): Json | undefined {
  return isStorableJson(value, depth)
    ? (value as Json)
    : makeStorable(value, depth);
}

function isStorableJson(value: unknown, depth: number): boolean {
  // The mark of a number that is kept as text is NUL, so that one is not taken for storable.
  if (typeof value === "string") return isStorableText(value);
  if (typeof value !== "object" || value === null) return true;
  if (depth === 0) return false;
  for (const key of Object.keys(value))
    if (
      !isStorableText(key) ||
      !isStorableJson((value as Record<string, unknown>)[key], depth - 1)
    )
      return false;
  return true;
}

/** A copy of what cannot be stored as it is; undefined when it is nested deeper than `depth`. */
function makeStorable(value: unknown, depth: number): Json | undefined {
  if (typeof value === "string") return storableText(numeralOf(value) ?? value);
  if (typeof value !== "object" || value === null) return value as Json;
  if (depth === 0) return undefined;
  const entries: [string, Json][] = [];
  for (const [key, member] of Object.entries(value)) {
    const storable = makeStorable(member, depth - 1);
    if (storable === undefined) return undefined;
    entries.push([storableText(key), storable]);
  }
  return Array.isArray(value)
    ? entries.map(([, member]) => member)
    : Object.fromEntries(entries);
}

export function isObject(
  value: unknown,
): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A list that is refused before its elements are looked at when it is longer than any real one. */
export function listOf<Element extends z.ZodType>(
  element: Element,
  longest: number,
  error: string,
) {
  return z
    .unknown()
    .transform((input, context): unknown[] => {
      if (Array.isArray(input) && input.length <= longest)
        return input as unknown[];
      const message = Array.isArray(input)
        ? `must have at most ${String(longest)} entries`
        : error;
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    })
    .pipe(z.array(element));
}
