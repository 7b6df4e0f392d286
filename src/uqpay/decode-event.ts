import { isUtf8 } from "node:buffer";
import type { CardEvent } from "../domain/card-event.ts";
import type { Instant } from "../domain/instant.ts";
import {
  isSensitive,
  mayHoldCardSecret,
  withoutCardSecrets,
} from "./card-secrets.ts";
import type { Envelope } from "./envelope.ts";
import { envelopeFields, toEnvelope } from "./envelope.ts";
import type { EventType } from "./event-types/event-type.ts";
import { eventType } from "./event-types/event-type.ts";
import {
  findEventType,
  mayBePersonal,
  optionalFields,
} from "./event-types/index.ts";
import type { Issue } from "./fields.ts";
import {
  isObject,
  optional,
  optionalNames,
  readFields,
  readId,
} from "./fields.ts";
import { parseJsonText } from "./parse-json.ts";

export type { Issue } from "./fields.ts";

/** Of an event that has no handler, this alone is looked at. */
const unhandled = eventType("", { card_id: optional(readId) }, () => undefined);

/** Every field that can be unreadable, by its path in the delivered JSON. */
export const unreadableFields: readonly string[] = [
  ...new Set([
    ...optionalNames(envelopeFields),
    ...unhandled.optionalFields,
    ...optionalFields,
  ]),
];

/** Which field an issue is about: one of `unreadableFields`, whatever part of it is wrong. */
export function fieldOf({ path }: Issue): string {
  return path.split(".").slice(0, 2).join(".");
}

/** When a delivery was signed and received; the data itself often does not say. */
export interface DeliveryTimes {
  readonly signedAt: Instant;
  readonly receivedAt: Instant;
}

/** The text of an event, where it is JSON. */
interface EventText {
  /** The exact text that was signed, or what may be kept of it. */
  readonly text: string;
  /** True when a card's number was masked in the text, or something was taken out of it. */
  readonly isRedacted: boolean;
}

interface Legible extends EventText {
  /** True when the text must not be kept. */
  readonly isSensitive: boolean;
  /** From `data.card_id`, also for types without a handler. */
  readonly cardId: string | undefined;
}

export interface DecodedEvent extends Legible {
  readonly envelope: Envelope;
  /** Optional fields that cannot be read: they count as not stated. */
  readonly unreadable: readonly Issue[];
}

export type Decoded =
  | (DecodedEvent & {
      readonly kind: "known";
      readonly event: CardEvent;
      /** True when the text must not be kept once the event is applied. */
      readonly isPersonal: boolean;
    })
  /** Well-formed, of a type that has no handler. */
  | (DecodedEvent & { readonly kind: "unhandled" })
  | (Legible & {
      readonly kind: "malformed";
      readonly issues: readonly Issue[];
      readonly eventId: string | undefined;
      readonly eventType: string | undefined;
    })
  | { readonly kind: "not-json"; readonly isSensitive: boolean };

/** Reads the bytes of a delivery into our words. Never throws, whatever the bytes. */
export function decodeEvent(rawBody: Buffer, times: DeliveryTimes): Decoded {
  return isUtf8(rawBody)
    ? decodeKeptEvent(rawBody.toString("utf8"), times)
    : notJson(rawBody.toString("latin1"));
}

/** Reads an event that was decoded before and kept, by the rules of today. A body that was edited may be anything. */
export function decodeKeptEvent(
  signed: string,
  { signedAt, receivedAt }: DeliveryTimes,
): Decoded {
  let input: unknown;
  try {
    input = parseJsonText(signed);
  } catch (error) {
    // Any other error is a mistake of ours, and no fault of the event.
    if (!(error instanceof SyntaxError)) throw error;
    return notJson(signed);
  }
  const text = withoutCardSecrets(signed);
  const kept = { text, isRedacted: text !== signed };
  if (kept.isRedacted) input = parseJsonText(text);
  if (!isObject(input)) {
    const issues = [{ path: "", message: "must be an object" }];
    return withoutEnvelope(kept, {}, issues);
  }
  const outer = readFields(envelopeFields, input, "");
  if ("issues" in outer) return withoutEnvelope(kept, input, outer.issues);
  const { data } = outer.values;
  const envelope = toEnvelope(outer.values);
  const { eventId, eventType, sourceId } = envelope;
  const type = findEventType(eventType) ?? unhandled;
  const origin = { eventId, signedAt, receivedAt };
  const inner = type.decode(data, { origin, eventType, sourceId });
  const isApplied = "issues" in inner || inner.event !== undefined;
  const legible = {
    isSensitive: isSensitive(eventType, isApplied, text),
    cardId: idIn(data, "card_id"),
    ...kept,
  };
  const isPersonal = type.isPersonal === true;
  if ("issues" in inner) {
    const { issues } = inner;
    const isSensitive = legible.isSensitive || isPersonal;
    return {
      kind: "malformed",
      ...legible,
      isSensitive,
      eventId,
      eventType,
      issues,
    };
  }
  const { event } = inner;
  const unreadable = [...outer.unreadable, ...inner.unreadable];
  return event === undefined
    ? { kind: "unhandled", ...legible, envelope, unreadable }
    : {
        kind: "known",
        ...legible,
        ...(isPersonal && withoutPerson(envelope, type, data, unreadable)),
        envelope,
        unreadable,
        event,
        isPersonal,
      };
}

/** The event again, of no more than what was read of it: the same event by the same rules. */
function withoutPerson(
  envelope: Envelope,
  type: EventType,
  data: Readonly<Record<string, unknown>>,
  unreadable: readonly Issue[],
): EventText {
  const lost = new Set(unreadable.map(({ path }) => path));
  const read = type.fieldNames
    .filter((name) => !lost.has(`data.${name}`))
    .map((name) => [name, data[name]]);
  const text = JSON.stringify({
    version: envelope.version,
    event_name: envelope.eventName,
    event_type: envelope.eventType,
    event_id: envelope.eventId,
    source_id: envelope.sourceId,
    data: Object.fromEntries(read) as Readonly<Record<string, unknown>>,
  });
  return { text, isRedacted: true };
}

function notJson(text: string): Decoded {
  return {
    kind: "not-json",
    isSensitive: mayHoldCardSecret(text) || mayBePersonal(text),
  };
}

/** Of an envelope that is refused, what can be read is told. */
function withoutEnvelope(
  kept: EventText,
  fields: Readonly<Record<string, unknown>>,
  issues: readonly Issue[],
): Decoded {
  const eventType = idIn(fields, "event_type");
  // The two names may be swapped; what cannot be read is rather not kept.
  const names = [eventType, idIn(fields, "event_name")];
  const data = isObject(fields["data"]) ? fields["data"] : {};
  return {
    kind: "malformed",
    ...kept,
    isSensitive:
      names.some((name) => isSensitive(name, false, kept.text)) ||
      mayBePersonal(names.join(" ")),
    eventId: idIn(fields, "event_id"),
    eventType,
    cardId: idIn(data, "card_id"),
    issues,
  };
}

function idIn(
  fields: Readonly<Record<string, unknown>>,
  name: string,
): string | undefined {
  try {
    return readId(fields[name]);
  } catch {
    return undefined;
  }
}
