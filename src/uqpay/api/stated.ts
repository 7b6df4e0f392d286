import { Unreadable, isObject } from "../fields.ts";
import { numeralOf, parseJsonText } from "../parse-json.ts";
import { withoutCardSecrets } from "../card-secrets.ts";

type Members = Readonly<Record<string, unknown>>;

/**
 * The members of an answer that state something: null, `""` and `{}` are "not stated" there, never "empty". A list that
 * is there and empty is empty.
 */
export function statedMembers(input: Members): Members {
  return Object.fromEntries(
    Object.entries(input).filter(([, value]) => isStated(value)),
  );
}

function isStated(value: unknown): boolean {
  if (value === undefined || value === null || value === "") return false;
  return !isObject(value) || Object.keys(value).length > 0;
}

/** An object that lists write as JSON text (`metadata`). What is no JSON stays the text that it is. */
export function fromJsonText(input: unknown): unknown {
  if (typeof input !== "string") return input;
  try {
    return parseJsonText(withoutCardSecrets(input));
  } catch {
    return input;
  }
}

/** A count, as number or text. */
export function readCount(input: unknown): number {
  const text = numeralOf(input) ?? input;
  if (typeof text !== "string" || !/^\d{1,15}$/.test(text))
    throw new Unreadable("must be a whole number");
  return Number(text);
}
