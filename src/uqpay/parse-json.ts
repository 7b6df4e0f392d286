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
  try {
    return parse(text, null, {
      parseNumber: exactNumber,
      // The last value counts, as in `jsonb`; the library would refuse the text.
      onDuplicateKey: ({ newValue }) => newValue,
    });
  } catch (error) {
    // The library calls itself for each level. What is nested deeper than the stack allows is an event nevertheless.
    if (error instanceof RangeError) return JSON.parse(text);
    throw error;
  }
}

function exactNumber(numeral: string): number | LosslessNumber {
  const number = Number(numeral);
  return String(number) === numeral ? number : new LosslessNumber(numeral);
}

/** A number of the JSON as it was written there; undefined when the value is none. */
export function numeralOf(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return value instanceof LosslessNumber ? value.value : undefined;
}
