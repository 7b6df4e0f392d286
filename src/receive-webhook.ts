import { createHmac, hash } from "node:crypto";
import { createBatcher } from "./process/batcher.ts";
import type { Batcher } from "./process/batcher.ts";
import type { Instant } from "./domain/instant.ts";
import { instantFromEpochMs } from "./domain/instant.ts";
import type { Found, Identity, InboxEntry, Recorded } from "./store/inbox.ts";
import type { QuarantineEntry } from "./store/quarantine.ts";
import type { Decoded, DecodedEvent, Issue } from "./uqpay/decode-event.ts";
import { decodeEvent, fieldOf } from "./uqpay/decode-event.ts";
import type { SignatureRules, SignedDelivery } from "./uqpay/signature.ts";
import { verifySignature } from "./uqpay/signature.ts";

/** One HTTP POST of UQPAY; the same event may be delivered many times. */
export type Delivery = SignedDelivery;

/** How receiving a delivery ended. Everything but the first two kinds of refusal is durable by then. */
export type Receipt =
  | { readonly kind: "missing_signature" }
  | { readonly kind: "invalid_signature" }
  | { readonly kind: "stale_timestamp" }
  | { readonly kind: "invalid_json" }
  | { readonly kind: "invalid_payload"; readonly issues: readonly Issue[] }
  | {
      readonly kind: "accepted" | "duplicate" | "ignored";
      readonly eventId: string;
    };

/** An event that waits to be applied: it is new, or a copy was signed before what it was applied with. */
export interface NewEvent {
  readonly eventId: string;
  readonly eventType: string;
  readonly cardId: string | undefined;
}

export interface ReceiveOptions {
  readonly rules: SignatureRules;
  readonly nowMs: () => number;
  /** Told that a signature was right, by the secret at this place, from 1. */
  readonly onVerified: (place: number) => void;
  /** Makes entries durable in one commit; see `recordEvents`. */
  readonly record: (
    entries: readonly InboxEntry[],
  ) => Promise<readonly Recorded[]>;
  /** Looks for what is stored already; see `findCopies`. */
  readonly findCopies: (
    entries: readonly Identity[],
  ) => Promise<readonly Found[]>;
  /** Told of what a batch of entries came to, and how long it took. */
  readonly onBatch: (results: readonly Recorded[], durationMs: number) => void;
  /** Writes to the quarantine. */
  readonly quarantine: (
    entries: readonly QuarantineEntry[],
  ) => Promise<unknown>;
  /** Told of an authentic event that was refused and is not in quarantine: a copy, or one that could not be stored. */
  readonly onRefused: (
    event: Pick<QuarantineEntry, "eventId" | "cardId">,
    reason: "stale_timestamp" | "unavailable",
  ) => void;
  /** Told of events that wait after they are durable. Not awaited: an answer never waits for the queue. */
  readonly onRecorded: (events: readonly NewEvent[]) => void;
  /** Told of the optional fields that could not be read of an event that was recorded, each once. */
  readonly onUnreadable: (fields: readonly string[]) => void;
  /** Whether a failed batch may be the fault of one of its members. */
  readonly isItemFault: (error: unknown) => boolean;
}

export interface WebhookReceiver {
  /** @throws whatever kept the delivery from being stored; it was not, and the sender must try again */
  readonly receive: (delivery: Delivery) => Promise<Receipt>;
  /** Resolves when everything that was begun is stored. */
  readonly drain: () => Promise<void>;
}

/**
 * How many share a commit. Beyond about 200 a batch gains nothing (measured); a larger one only delays the
 * first of its members.
 */
const MAX_BATCH = 200;
/** A commit costs PostgreSQL as much as so many rows: fewer are not worth one of their own. */
const HALVE_FROM = 8;
/** A fast refusal that UQPAY retries beats a queue that grows; so much is a tenth of a second on a fast machine. */
const MAX_WAITING = 2_000;
/** On a slow one the count is no bound: nobody waits behind a queue that has stood for longer. */
const MAX_WAIT_MS = 1_000;

/** 1. Verify, decode, record: from a delivery to a receipt. */
export function createWebhookReceiver(
  options: ReceiveOptions,
): WebhookReceiver {
  const limits = {
    maxBatch: MAX_BATCH,
    maxWaiting: MAX_WAITING,
    maxWaitMs: MAX_WAIT_MS,
    isItemFault: options.isItemFault,
  };
  const inbox = createBatcher({
    ...limits,
    halveFrom: HALVE_FROM,
    flush: (entries: readonly InboxEntry[]) => recordAndTell(entries, options),
  });
  const quarantine = createBatcher({
    ...limits,
    flush: async (entries: readonly QuarantineEntry[]) => {
      await options.quarantine(entries);
      return entries.map(() => undefined);
    },
  });
  return {
    receive: (delivery) => receive(delivery, options, { inbox, quarantine }),
    drain: async () => {
      await inbox.drain();
      await quarantine.drain();
    },
  };
}

interface Writers {
  readonly inbox: Batcher<InboxEntry, Recorded>;
  readonly quarantine: Batcher<QuarantineEntry, undefined>;
}

async function receive(
  delivery: Delivery,
  options: ReceiveOptions,
  writers: Writers,
): Promise<Receipt> {
  const { rawBody } = delivery;
  const nowMs = options.nowMs();
  const verification = verifySignature(delivery, options.rules, nowMs);
  if (verification.kind === "missing") return { kind: "missing_signature" };
  if (verification.kind === "invalid") return { kind: "invalid_signature" };
  options.onVerified(verification.secret);

  const receivedAt = instantFromEpochMs(nowMs);
  const signedAt =
    verification.signedAtMs === undefined
      ? undefined
      : instantFromEpochMs(verification.signedAtMs);
  const decoded = decodeEvent(rawBody, {
    signedAt: signedAt ?? receivedAt,
    receivedAt,
  });
  const kept = keep(rawBody, decoded, signedAt, options.rules.secrets);

  const { eventId, cardId } = kept;
  try {
    return verification.kind === "stale"
      ? await keepStale(kept, options, writers)
      : await keepFresh(decoded, kept, signedAt ?? receivedAt, writers);
  } catch (error) {
    options.onRefused({ eventId, cardId }, "unavailable");
    throw error;
  }
}

async function keepFresh(
  decoded: Decoded,
  kept: Kept,
  signedAt: Instant,
  writers: Writers,
): Promise<Receipt> {
  switch (decoded.kind) {
    case "not-json":
      await writers.quarantine.add({ reason: "invalid_json", ...kept });
      return { kind: "invalid_json" };
    case "malformed":
      await writers.quarantine.add({ reason: "invalid_payload", ...kept });
      return { kind: "invalid_payload", issues: decoded.issues };
    case "known":
    case "unhandled":
      return recordEntry(inboxEntry(decoded, kept, signedAt), kept, writers);
  }
}

/** What is kept of an authentic delivery, read as far as it could be. */
type Kept = Omit<QuarantineEntry, "reason">;

function keep(
  rawBody: Buffer,
  decoded: Decoded,
  signedAt: Instant | undefined,
  secrets: readonly string[],
): Kept {
  return {
    eventId: eventIdOf(decoded),
    eventType: eventTypeOf(decoded),
    cardId: decoded.kind === "not-json" ? undefined : decoded.cardId,
    issues: decoded.kind === "malformed" ? decoded.issues : undefined,
    body: bodyToKeep(rawBody, decoded),
    bodySha256: digest(rawBody, isKeptWhole(decoded), secrets),
    signedAt,
  };
}

function bodyToKeep(rawBody: Buffer, decoded: Decoded): Buffer | undefined {
  if (decoded.isSensitive) return undefined;
  return decoded.kind !== "not-json" && decoded.isRedacted
    ? Buffer.from(decoded.text)
    : rawBody;
}

function isKeptWhole(decoded: Decoded): boolean {
  return (
    !decoded.isSensitive && (decoded.kind === "not-json" || !decoded.isRedacted)
  );
}

/**
 * Field by field: what waits for the commit must not hold the event that was read. Else each collection of the heap
 * copies the events of all requests under way.
 */
function inboxEntry(
  {
    kind,
    envelope,
    cardId,
    unreadable,
  }: DecodedEvent & { readonly kind: string },
  { body, bodySha256 }: Kept,
  signedAt: Instant,
): InboxEntry {
  return {
    eventId: envelope.eventId,
    eventType: envelope.eventType,
    eventName: envelope.eventName,
    version: envelope.version,
    sourceId: envelope.sourceId,
    cardId,
    body,
    bodySha256,
    signedAt,
    state: kind === "known" ? "received" : "ignored",
    issues: unreadable,
  };
}

async function recordEntry(
  entry: InboxEntry,
  kept: Kept,
  writers: Writers,
): Promise<Receipt> {
  const { eventId } = entry;
  switch (await writers.inbox.add(entry)) {
    case "recorded":
      return {
        kind: entry.state === "received" ? "accepted" : "ignored",
        eventId,
      };
    case "conflict":
      await writers.quarantine.add({ reason: "event_id_conflict", ...kept });
      return { kind: "duplicate", eventId };
    case "duplicate":
    case "earlier":
      return { kind: "duplicate", eventId };
  }
}

/**
 * Whether UQPAY renews the timestamp for each of its five tries is not known: if it does not, the last try of
 * a genuine event is eight minutes old. It is refused, but not lost.
 *
 * Looks for its event once more behind the quarantine: one that is recorded at the same moment may have looked there
 * before.
 */
async function keepStale(
  kept: Kept,
  options: ReceiveOptions,
  writers: Writers,
): Promise<Receipt> {
  const isStored = () => isCopyOfStored(kept, options);
  if (await isStored()) options.onRefused(kept, "stale_timestamp");
  else {
    await writers.quarantine.add({ reason: "stale_timestamp", ...kept });
    await isStored();
  }
  return { kind: "stale_timestamp" };
}

async function isCopyOfStored(
  { eventId, eventType, cardId, bodySha256, signedAt }: Kept,
  { findCopies, onRecorded }: ReceiveOptions,
): Promise<boolean> {
  if (eventId === undefined) return false;
  const [found] = await findCopies([{ eventId, bodySha256, signedAt }]);
  if (found === "earlier")
    onRecorded([{ eventId, eventType: eventType ?? "", cardId }]);
  return found === "duplicate" || found === "earlier";
}

async function recordAndTell(
  entries: readonly InboxEntry[],
  { record, onBatch, onRecorded, onUnreadable }: ReceiveOptions,
): Promise<readonly Recorded[]> {
  const startedAt = performance.now();
  const results = await record(entries);
  onBatch(results, performance.now() - startedAt);
  const recorded = entries.filter((_, index) => results[index] === "recorded");
  for (const { issues } of recorded)
    if (issues.length > 0) onUnreadable([...new Set(issues.map(fieldOf))]);
  const waiting = entries.filter((entry, index) => {
    const result = results[index];
    const isNew = result === "recorded" && entry.state === "received";
    return isNew || result === "earlier";
  });
  if (waiting.length > 0)
    onRecorded(
      waiting.map(({ eventId, eventType, cardId }) => ({
        eventId,
        eventType,
        cardId,
      })),
    );
  return results;
}

function eventIdOf(decoded: Decoded): string | undefined {
  if (decoded.kind === "not-json") return undefined;
  return decoded.kind === "malformed"
    ? decoded.eventId
    : decoded.envelope.eventId;
}

function eventTypeOf(decoded: Decoded): string | undefined {
  if (decoded.kind === "not-json") return undefined;
  return decoded.kind === "malformed"
    ? decoded.eventType
    : decoded.envelope.eventType;
}

/**
 * Keyed where the body is not kept as it was signed: a plain hash of one with an eight-digit code in it gives the code
 * away, and so does one of a card's number beside its mask.
 */
function digest(
  rawBody: Buffer,
  isWholeKept: boolean,
  secrets: readonly string[],
): Buffer {
  return isWholeKept
    ? hash("sha256", rawBody, "buffer")
    : createHmac("sha256", secrets[0] ?? "")
        .update(rawBody)
        .digest();
}
