import type { CardEvent } from "../domain/card-event.ts";
import type { Instant } from "../domain/instant.ts";
import { mayHoldCardSecret, withoutCardSecrets } from "./card-secrets.ts";
import type { Envelope } from "./envelope.ts";
import { optionalEnvelopeFields, readEnvelope } from "./envelope.ts";
import { findEventType, optionalFields } from "./event-types/index.ts";
import type { Issue } from "./fields.ts";
import { faultsIn, isAbsent, isObject, issuesOf, readId } from "./fields.ts";
import { parseJson, parseJsonText } from "./parse-json.ts";
import { isSensitive } from "./sensitive.ts";

export type { Issue } from "./fields.ts";

const CARD_ID = ["data", "card_id"];

/** Every field that can be unreadable, by its path in the delivered JSON. */
export const unreadableFields: readonly string[] = [
  ...optionalEnvelopeFields,
  CARD_ID.join("."),
  ...optionalFields,
];

/** Which field an issue is about: one of `unreadableFields`, whatever part of it is wrong. */
export function fieldOf({ path }: Issue): string {
  return path.split(".").slice(0, CARD_ID.length).join(".");
}

/** When a delivery was signed and received; the data itself often does not say. */
export interface DeliveryTimes {
  readonly signedAt: Instant;
  readonly receivedAt: Instant;
}

interface Legible {
  /** The exact text that was signed, or what may be kept of it. */
  readonly text: string;
  /** True when a card's number was masked in the text, or a code was taken out of it. */
  readonly isRedacted: boolean;
  /** True when the text must not be kept. */
  readonly isSensitive: boolean;
}

export type DecodedEvent = Legible & {
  readonly envelope: Envelope;
  /** From `data.card_id`, also for types without a handler. */
  readonly cardId: string | undefined;
  /** Optional fields that cannot be read: they count as not stated. */
  readonly unreadable: readonly Issue[];
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
      isSensitive: mayHoldCardSecret(rawBody.toString("latin1")),
    };
  }
  return decodeValue(parsed.text, parsed.value, times);
}

/** Reads an event that was decoded before and kept, by the rules of today. A body that was edited may be anything. */
export function decodeKeptEvent(text: string, times: DeliveryTimes): Decoded {
  try {
    return decodeValue(text, parseJsonText(text), times);
  } catch (error) {
    if (error instanceof SyntaxError)
      return { kind: "not-json", isSensitive: false };
    throw error;
  }
}

function decodeValue(
  signed: string,
  value: unknown,
  times: DeliveryTimes,
): Decoded {
  const text = withoutCardSecrets(signed);
  const isRedacted = text !== signed;
  const kept = { text, isRedacted };
  const read = isRedacted ? parseJsonText(text) : value;
  const outer = readEnvelope(read);
  return "value" in outer
    ? decodeData(kept, outer.value.envelope, outer.value.unreadable, times)
    : malformed(kept, read, issuesOf(faultsIn(outer), []));
}

type Kept = Omit<Legible, "isSensitive">;

function decodeData(
  kept: Kept,
  envelope: Envelope,
  unreadableOuter: readonly Issue[],
  times: DeliveryTimes,
): Decoded {
  const { eventId, eventType, sourceId, data } = envelope;
  const type = findEventType(eventType);
  const legible = {
    ...kept,
    isSensitive: isSensitive(eventType, type !== undefined, kept.text),
  };
  const cardId = idIn(data, "card_id");
  if (type === undefined) {
    const unreadable = [...unreadableOuter, ...faultsOfCardId(data)];
    return { kind: "unhandled", ...legible, envelope, cardId, unreadable };
  }
  const decoded = type.decode(data, { eventId, sourceId, ...times });
  if (!decoded.success) {
    const { issues } = decoded;
    return {
      kind: "malformed",
      ...legible,
      eventId,
      eventType,
      cardId,
      issues,
    };
  }
  const unreadable = [...unreadableOuter, ...decoded.unreadable];
  const { event } = decoded;
  return { kind: "known", ...legible, envelope, cardId, event, unreadable };
}

function faultsOfCardId(data: Envelope["data"]): Issue[] {
  const cardId = data["card_id"];
  return isAbsent(cardId) ? [] : issuesOf(faultsIn(readId(cardId)), CARD_ID);
}

function malformed(
  kept: Kept,
  value: unknown,
  issues: readonly Issue[],
): Decoded {
  const fields = isObject(value) ? value : {};
  const eventType = idIn(fields, "event_type");
  // The two names may be swapped; what cannot be read is rather not kept.
  const names = [eventType, idIn(fields, "event_name")];
  const data = isObject(fields["data"]) ? fields["data"] : {};
  return {
    kind: "malformed",
    ...kept,
    isSensitive: names.some((name) => isSensitive(name, false, kept.text)),
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
  const reading = readId(fields[name]);
  return "value" in reading ? reading.value : undefined;
}
