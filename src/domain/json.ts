/** What PostgreSQL's `jsonb` can hold. */
export type Json =
  string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** A text as it is, nothing for all else. */
export function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}
