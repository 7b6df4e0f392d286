import { LosslessNumber, parse } from "lossless-json";

const BYTE_ORDER_MARK = "\ufeff";

/**
 * Reads JSON as `JSON.parse` does, but keeps the numbers that JavaScript would change (`1.10`, `1e2`,
 * `12345678901234567890`) as they are written, see `numeralOf`: amounts are exact decimals. One leading byte order mark is
 * ignored, as RFC 8259 allows.
 *
 * @throws SyntaxError when the text is not JSON
 */
export function parseJsonText(marked: string): unknown {
  const text = marked.startsWith(BYTE_ORDER_MARK) ? marked.slice(1) : marked;
  const value: unknown = JSON.parse(text);
  if (hasPlainNumbers(text)) return value;
  try {
    return parse(text, null, {
      parseNumber: exactNumber,
      // The last value counts, as in `jsonb`; the library would refuse the text.
      onDuplicateKey: ({ newValue }) => newValue,
    });
  } catch {
    // The library calls itself for each level. What is nested deeper than the stack allows is an event nevertheless.
    return value;
  }
}

/**
 * Whether JavaScript writes every number of this JSON as it stands there: then `JSON.parse` loses nothing, and the
 * library, which takes five times as long, has nothing to do. In doubt, as where a text looks like one, it does not.
 */
function hasPlainNumbers(text: string): boolean {
  for (const [, numeral] of text.matchAll(NUMERALS))
    if (String(Number(numeral)) !== numeral) return false;
  return true;
}

const NUMERALS = /(?:^\s*|"\s*:\s*|[[,]\s*)(-?\d[\d.eE+-]*)/g;

function exactNumber(numeral: string): number | LosslessNumber {
  const number = Number(numeral);
  return String(number) === numeral ? number : new LosslessNumber(numeral);
}

/** A number of the JSON as it was written there; undefined when the value is none. */
export function numeralOf(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return value instanceof LosslessNumber ? value.value : undefined;
}
