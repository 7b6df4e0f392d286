import type { Fields, Issue, ValuesOf } from "../fields.ts";
import { Unreadable, isObject, readFields } from "../fields.ts";
import { statedMembers } from "./stated.ts";

/**
 * Reads an object of an answer by the readers of the webhooks.
 *
 * @param stated which members state something, and in which form
 * @throws Unreadable where a required field is missing
 */
export function readAnswer<Shape extends Fields>(
  fields: Shape,
  json: unknown,
  stated: typeof statedMembers = statedMembers,
): {
  readonly values: ValuesOf<Shape>;
  readonly unreadable: readonly Issue[];
} {
  if (!isObject(json)) throw new Unreadable("must be an object");
  const read = readFields(fields, stated(json), "");
  if (!("issues" in read)) return read;
  const [issue] = read.issues;
  throw new Unreadable(String(issue?.message), [String(issue?.path)]);
}
