import { isUtf8 } from "node:buffer";

export type ParsedJson =
  | { readonly kind: "parsed"; readonly text: string; readonly value: unknown }
  | { readonly kind: "not-json" };

/** Reads bytes as UTF-8 JSON. Keeps numbers exact, see `withExactNumbers`. */
export function parseJson(rawBody: Buffer): ParsedJson {
  if (!isUtf8(rawBody)) return { kind: "not-json" };
  const text = rawBody.toString("utf8");
  try {
    return { kind: "parsed", text, value: parseJsonText(text) };
  } catch {
    return { kind: "not-json" };
  }
}

const BYTE_ORDER_MARK = "\ufeff";

/** One leading byte order mark is ignored, as RFC 8259 allows. @throws SyntaxError when the text is not JSON */
export function parseJsonText(marked: string): unknown {
  const text = marked.startsWith(BYTE_ORDER_MARK) ? marked.slice(1) : marked;
  const value: unknown = JSON.parse(text);
  // Only text that was JSON may be rewritten: then the pattern below can only meet whole strings and numbers.
  return mayHoldNumber(value) && mayHoldInexactNumber(value, text)
    ? JSON.parse(withExactNumbers(text))
    : value;
}

/** Below it the text is looked at instead: a hostile one is nested deeper than a call stack. */
const DEEPEST_LOOK = 16;

/**
 * In most events there is none, and to look for it here takes a fifth of reading the text again (0.5 us). A list's members
 * by their places: to V8 of Node.js 24 the names of a list in `for…in` were a surprise each time, and it compiled this
 * function anew some 150 times a second, for 2.7 us of each event.
 */
function mayHoldNumber(value: unknown, depth = DEEPEST_LOOK): boolean {
  if (typeof value !== "object" || value === null)
    return typeof value === "number";
  if (depth === 0) return true;
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++)
      if (mayHoldNumber(value[at], depth - 1)) return true;
    return false;
  }
  for (const name in value)
    if (mayHoldNumber((value as Record<string, unknown>)[name], depth - 1))
      return true;
  return false;
}

const STRING_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;

/** Stands before a number that was kept as text. No field that may hold text may hold this character. */
const MARK = "\u0000";
const MARKED = /^\u0000-?\d[\d.eE+-]*$/;

/**
 * Keeps the numbers that JavaScript would change (`1.10`, `1e2`, `12345678901234567890`) as marked text, so that
 * they arrive as they were sent: amounts are exact decimals.
 */
function withExactNumbers(text: string): string {
  return text.replace(STRING_OR_NUMBER, (token) =>
    isInexact(token) ? JSON.stringify(MARK + token) : token,
  );
}

/**
 * Where a number stands inside of something, and a few places inside strings: looking at these only takes a quarter of
 * reading all strings, and a false alarm costs no more than the second reading. With the begin of the text as another
 * such place it took 3.7 us instead of 1.6.
 */
const NUMBER_IN_PLACE = /(?:"\s*:|[[,])\s*(-?\d[\d.eE+-]*)/g;

function mayHoldInexactNumber(value: unknown, text: string): boolean {
  if (typeof value === "number") return true;
  for (const [, numeral] of text.matchAll(NUMBER_IN_PLACE))
    if (isInexact(String(numeral))) return true;
  return false;
}

function isInexact(token: string): boolean {
  return !token.startsWith('"') && String(Number(token)) !== token;
}

/** A number of the JSON as it was written there; undefined when the value is none. */
export function numeralOf(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" &&
    value.startsWith(MARK) &&
    MARKED.test(value)
    ? value.slice(MARK.length)
    : undefined;
}
