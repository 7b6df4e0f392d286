import type { z } from "zod";
import type { CardEvent } from "../domain/card-event.ts";
import type { Instant } from "../domain/instant.ts";
import type { Envelope } from "./envelope.ts";
import { envelope } from "./envelope.ts";
import { findEventType } from "./event-types/index.ts";
import { isObject, readId } from "./fields.ts";
import { parseJson, parseJsonText } from "./parse-json.ts";
import { isSensitive } from "./sensitive.ts";

/** What is wrong with a field, by its dotted path in the delivered JSON (`data.card_id`). */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

/** When a delivery was signed and received; the data itself often does not say. */
export interface DeliveryTimes {
  readonly signedAt: Instant;
  readonly receivedAt: Instant;
}

interface Legible {
  /** The exact text that was signed. */
  readonly text: string;
  /** True when the text must not be kept. */
  readonly isSensitive: boolean;
}

export type DecodedEvent = Legible & {
  readonly envelope: Envelope;
  /** From `data.card_id`, also for types without a handler. */
  readonly cardId: string | undefined;
};

export type Decoded =
  | (DecodedEvent & { readonly kind: "known"; readonly event: CardEvent })
  /** Well-formed, of a type that has no handler. */
  | (DecodedEvent & { readonly kind: "unhandled" })
  | (Legible & {
      readonly kind: "malformed";
      readonly issues: readonly Issue[];
      readonly eventId: string | undefined;
      readonly eventType: string | undefined;
      readonly cardId: string | undefined;
    })
  | { readonly kind: "not-json"; readonly isSensitive: boolean };

/** Reads the bytes of a delivery into our words. Never throws, whatever the bytes. */
export function decodeEvent(rawBody: Buffer, times: DeliveryTimes): Decoded {
  const parsed = parseJson(rawBody);
  if (parsed.kind === "not-json") {
    return {
      kind: "not-json",
      isSensitive: isSensitive(undefined, false, rawBody.toString("latin1")),
    };
  }
  return decodeValue(parsed.text, parsed.value, times);
}

/** Reads an event that was decoded before and kept, by the rules of today. */
export function decodeKeptEvent(text: string, times: DeliveryTimes): Decoded {
  return decodeValue(text, parseJsonText(text), times);
}

function decodeValue(
  text: string,
  value: unknown,
  times: DeliveryTimes,
): Decoded {
  const outer = envelope.safeParse(value);
  return outer.success
    ? decodeData(text, outer.data, times)
    : malformed(text, value, outer.error);
}

function decodeData(
  text: string,
  outer: Envelope,
  times: DeliveryTimes,
): Decoded {
  const { eventId, eventType, sourceId } = outer;
  const type = findEventType(eventType);
  const mustNotBeKept = isSensitive(eventType, type !== undefined, text);
  if (type === undefined) {
    return {
      kind: "unhandled",
      text,
      isSensitive: mustNotBeKept,
      envelope: outer,
      cardId: idIn(outer.data, "card_id"),
    };
  }
  // One by one, here and in the results below: what is spread behind other properties V8 looks up and defines anew.
  const { signedAt, receivedAt } = times;
  const context = { eventId, sourceId, signedAt, receivedAt };
  const decoded = type.decode(outer.data, context);
  if (!decoded.success) {
    return {
      kind: "malformed",
      text,
      isSensitive: mustNotBeKept,
      eventId,
      eventType,
      cardId: idIn(outer.data, "card_id"),
      issues: issuesOf(decoded.error, ["data"]),
    };
  }
  const { event } = decoded;
  return {
    kind: "known",
    text,
    isSensitive: mustNotBeKept,
    envelope: outer,
    cardId: event.cardId,
    event,
  };
}

function malformed(text: string, value: unknown, error: z.ZodError): Decoded {
  const fields = isObject(value) ? value : {};
  const eventType = idIn(fields, "event_type");
  // The two names may be swapped; what cannot be read is rather not kept.
  const names = [eventType, idIn(fields, "event_name")];
  return {
    kind: "malformed",
    text,
    isSensitive: names.some((name) => isSensitive(name, false, text)),
    eventId: idIn(fields, "event_id"),
    eventType,
    cardId: isObject(fields["data"])
      ? idIn(fields["data"], "card_id")
      : undefined,
    issues: issuesOf(error, []),
  };
}

function idIn(
  fields: Readonly<Record<string, unknown>>,
  name: string,
): string | undefined {
  const reading = readId(fields[name]);
  return "value" in reading ? reading.value : undefined;
}

/** Whoever has to mend the payload needs the first few; a hostile one could have a hundred thousand. */
const MOST_ISSUES = 20;

function issuesOf(error: z.ZodError, parents: readonly PropertyKey[]): Issue[] {
  return error.issues
    .slice(0, MOST_ISSUES)
    .flatMap(closest)
    .slice(0, MOST_ISSUES)
    .map(({ path, message }) => ({
      path: [...parents, ...path].map(String).join("."),
      message,
    }));
}

/** Of a union the issues of the alternative that fitted furthest: its path leads to the field that is wrong. */
function closest(
  issue: z.core.$ZodIssue,
): { path: PropertyKey[]; message: string }[] {
  if (issue.code !== "invalid_union") return [issue];
  const alternatives = issue.errors.map((issues) =>
    issues.slice(0, MOST_ISSUES),
  );
  const best = alternatives.reduce((a, b) => (depthOf(b) > depthOf(a) ? b : a));
  return best.map(({ path, message }) => ({
    path: [...issue.path, ...path],
    message,
  }));
}

function depthOf(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map(({ path }) => path.length));
}
