import { createHmac, hash } from "node:crypto";
import type { Instant } from "./domain/instant.ts";
import { instantFromEpochMs } from "./domain/instant.ts";
import type { Metrics } from "./metrics.ts";
import type { Batcher } from "./process/batcher.ts";
import { createBatcher } from "./process/batcher.ts";
import type { Checkpoint } from "./process/checkpoint.ts";
import type { Logger } from "./process/logger.ts";
import type { Trouble } from "./process/trouble.ts";
import { createTrouble } from "./process/trouble.ts";
import type { Database } from "./store/database.ts";
import { isDataFault, isFullOrStuck } from "./store/errors.ts";
import type { InboxEntry, Recorded } from "./store/inbox.ts";
import { findCopies, recordEvents } from "./store/inbox.ts";
import type { QuarantineEntry } from "./store/quarantine.ts";
import { quarantine } from "./store/quarantine.ts";
import { isReadOnly } from "./store/spent-connections.ts";
import type { Decoded, Issue } from "./uqpay/decode-event.ts";
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
}

export interface ReceiverOptions {
  readonly db: Database;
  readonly rules: SignatureRules;
  readonly nowMs: () => number;
  /** Tells the queue which events wait; returns at once, since an answer never waits for the queue. */
  readonly placeHints: (events: readonly NewEvent[]) => void;
  readonly metrics: Pick<Metrics, "verified" | "unreadable">;
  readonly log: Pick<Logger, "debug" | "info" | "warn">;
  readonly checkpoint: Checkpoint;
}

export interface WebhookReceiver {
  /** @throws whatever kept the delivery from being stored; it was not, and the sender must try again */
  readonly receive: (delivery: Delivery) => Promise<Receipt>;
  /** Whether deliveries could not be stored just now, several times in a row. */
  readonly isInTrouble: () => boolean;
  /** Resolves when everything that was begun is stored. */
  readonly drain: () => Promise<void>;
}

/** How many share a commit: a larger batch only delays the first of its members. */
const MAX_BATCH = 200;
/** A fast refusal that UQPAY retries beats a queue that grows; so many are stored within a tenth of a second. */
const MAX_WAITING = 2_000;
/** On a slow machine the count is no bound: a delivery does not wait behind a queue that has stood for longer. */
const MAX_WAIT_MS = 1_000;
/** A load balancer that sends nothing after a 503 must try again at some time: only a delivery shows that all is well. */
const STORING = { firstDelayMs: 0, maxDelayMs: 0, rememberedMs: 10_000 };

/** 1. Verify, decode, record: from a delivery to a receipt. */
export function createWebhookReceiver(
  options: ReceiverOptions,
): WebhookReceiver {
  const trouble = createTrouble(STORING);
  const limits = {
    maxBatch: MAX_BATCH,
    maxWaiting: MAX_WAITING,
    maxWaitMs: MAX_WAIT_MS,
    isItemFault: isDataFault,
  };
  const writers: Writers = {
    inbox: createBatcher({
      ...limits,
      flush: async (entries) => {
        const startedAt = performance.now();
        const results = await record(entries, options.db, trouble);
        const durationMs = Math.round(performance.now() - startedAt);
        const counts = countResults(results);
        options.log.info({ ...counts, durationMs }, "events recorded");
        tellRecorded(entries, results, options);
        return results;
      },
    }),
    quarantine: createBatcher({
      ...limits,
      flush: (entries) => quarantineAndTell(entries, options),
    }),
  };
  return {
    receive: (delivery) => receive(delivery, options, writers),
    isInTrouble: trouble.lasts,
    drain: async () => {
      await writers.inbox.drain();
      await writers.quarantine.drain();
      // The last hint is placed in the next turn of the event loop.
      await new Promise(setImmediate);
    },
  };
}

/** Each shares its commits among the deliveries of one moment. */
interface Writers {
  readonly inbox: Batcher<InboxEntry, Recorded>;
  readonly quarantine: Batcher<QuarantineEntry, undefined>;
}

async function receive(
  delivery: Delivery,
  options: ReceiverOptions,
  writers: Writers,
): Promise<Receipt> {
  const nowMs = options.nowMs();
  const verification = verifySignature(delivery, options.rules, nowMs);
  if (verification.kind === "missing") return { kind: "missing_signature" };
  if (verification.kind === "invalid") return { kind: "invalid_signature" };
  options.metrics.verified(verification.secret);

  const receivedAt = instantFromEpochMs(nowMs);
  const signedAt =
    verification.signedAtMs === undefined
      ? undefined
      : instantFromEpochMs(verification.signedAtMs);
  const times = { signedAt: signedAt ?? receivedAt, receivedAt };
  const decoded = decodeEvent(delivery.rawBody, times);
  const kept = keep(delivery.rawBody, decoded, signedAt, options.rules.secrets);
  try {
    return verification.kind === "stale"
      ? await storeStale(kept, options, writers)
      : await storeFresh(decoded, kept, times.signedAt, writers);
  } catch (error) {
    tellRefused(kept, "unavailable", options);
    throw error;
  }
}

/** What is kept of an authentic delivery, read as far as it could be. */
type QuarantineFields = Omit<QuarantineEntry, "reason">;

function keep(
  rawBody: Buffer,
  decoded: Decoded,
  signedAt: Instant | undefined,
  secrets: readonly string[],
): QuarantineFields {
  const isRedacted = decoded.kind !== "not-json" && decoded.isRedacted;
  const body = isRedacted ? Buffer.from(decoded.text) : rawBody;
  const { eventId, eventType } = namesOf(decoded);
  return {
    eventId,
    eventType,
    cardId: decoded.kind === "not-json" ? undefined : decoded.cardId,
    issues: decoded.kind === "malformed" ? decoded.issues : undefined,
    body: decoded.isSensitive ? undefined : body,
    // A plain hash of a body with an eight-digit code in it gives the code away, and so does one of a card's number
    // beside its mask: where the body is not kept as it was signed, the hash has a key.
    bodySha256:
      decoded.isSensitive || isRedacted
        ? createHmac("sha256", secrets[0] ?? "")
            .update(rawBody)
            .digest()
        : hash("sha256", rawBody, "buffer"),
    signedAt,
  };
}

function namesOf(
  decoded: Decoded,
): Pick<QuarantineFields, "eventId" | "eventType"> {
  switch (decoded.kind) {
    case "not-json":
      return { eventId: undefined, eventType: undefined };
    case "malformed":
      return { eventId: decoded.eventId, eventType: decoded.eventType };
    case "known":
    case "unhandled":
      return {
        eventId: decoded.envelope.eventId,
        eventType: decoded.envelope.eventType,
      };
  }
}

async function storeFresh(
  decoded: Decoded,
  kept: QuarantineFields,
  signedAt: Instant,
  { inbox, quarantine }: Writers,
): Promise<Receipt> {
  if (decoded.kind === "not-json") {
    await quarantine.add({ reason: "invalid_json", ...kept });
    return { kind: "invalid_json" };
  }
  if (decoded.kind === "malformed") {
    await quarantine.add({ reason: "invalid_payload", ...kept });
    return { kind: "invalid_payload", issues: decoded.issues };
  }
  const { eventId, eventType, eventName, version, sourceId } = decoded.envelope;
  const isKnown = decoded.kind === "known";
  const result = await inbox.add({
    eventId,
    eventType,
    eventName,
    version,
    sourceId,
    cardId: kept.cardId,
    body: decoded.isSensitive ? undefined : decoded.text,
    bodySha256: kept.bodySha256,
    signedAt,
    state: isKnown ? "received" : "ignored",
    issues: decoded.unreadable,
  });
  if (result === "recorded")
    return { kind: isKnown ? "accepted" : "ignored", eventId };
  if (result === "conflict")
    await quarantine.add({ reason: "event_id_conflict", ...kept });
  return { kind: "duplicate", eventId };
}

/**
 * Whether UQPAY renews the timestamp for each of its five tries is not known: if it does not, the last try of
 * a genuine event is eight minutes old. It is refused, but not lost.
 *
 * Looks for its event once more behind the quarantine: one that is recorded at the same moment may have looked there
 * before.
 */
async function storeStale(
  kept: QuarantineFields,
  options: ReceiverOptions,
  { quarantine }: Writers,
): Promise<Receipt> {
  if (await isCopyOfStored(kept, options)) {
    tellRefused(kept, "stale_timestamp", options);
  } else {
    await quarantine.add({ reason: "stale_timestamp", ...kept });
    await isCopyOfStored(kept, options);
  }
  return { kind: "stale_timestamp" };
}

async function isCopyOfStored(
  { eventId, eventType = "", bodySha256, signedAt }: QuarantineFields,
  options: ReceiverOptions,
): Promise<boolean> {
  if (eventId === undefined) return false;
  const [found] = await findCopies(options.db, [
    { eventId, bodySha256, signedAt },
  ]);
  if (found === "earlier") hint([{ eventId, eventType }], options);
  return found === "duplicate" || found === "earlier";
}

/** Makes entries durable in one commit. */
async function record(
  entries: readonly InboxEntry[],
  db: Database,
  trouble: Trouble,
): Promise<readonly Recorded[]> {
  try {
    const results = await recordEvents(db, entries).catch((error: unknown) => {
      // Nothing was stored, and a new connection may lead to the server that took over.
      if (isReadOnly(error)) return recordEvents(db, entries);
      throw error;
    });
    trouble.isOver();
    return results;
  } catch (error) {
    if (isFullOrStuck(error)) trouble.found();
    throw error;
  }
}

function tellRecorded(
  entries: readonly InboxEntry[],
  results: readonly Recorded[],
  options: ReceiverOptions,
): void {
  const { log, metrics, checkpoint } = options;
  checkpoint(
    "recorded",
    entries.map(({ eventId }) => eventId),
  );
  const recorded = entries.filter((_, index) => results[index] === "recorded");
  for (const { eventId, cardId, state, issues } of recorded) {
    log.debug({ eventId, cardId, state }, "event recorded");
    if (issues.length > 0)
      metrics.unreadable([...new Set(issues.map(fieldOf))]);
  }
  const waiting = entries.filter(({ state }, index) => {
    const isNew = results[index] === "recorded" && state === "received";
    return isNew || results[index] === "earlier";
  });
  hint(
    waiting.map(({ eventId, eventType }) => ({ eventId, eventType })),
    options,
  );
}

function hint(
  events: readonly NewEvent[],
  { placeHints, checkpoint }: ReceiverOptions,
): void {
  if (events.length === 0) return;
  // The answers are written in this turn of the event loop, the hint is placed in the next one.
  setImmediate(() => {
    checkpoint(
      "answered",
      events.map(({ eventId }) => eventId),
    );
    placeHints(events);
  });
}

async function quarantineAndTell(
  entries: readonly QuarantineEntry[],
  { db, log }: ReceiverOptions,
): Promise<undefined[]> {
  for (const { id, entry, deliveries } of await quarantine(db, entries)) {
    const { reason, eventId, cardId } = entry;
    log.warn(
      { reason, quarantineId: id, eventId, cardId, deliveries },
      "delivery quarantined",
    );
  }
  return entries.map(() => undefined);
}

/** An authentic event was refused and is not in quarantine: a copy, or one that could not be stored. */
function tellRefused(
  { eventId, cardId }: QuarantineFields,
  reason: "stale_timestamp" | "unavailable",
  { log }: ReceiverOptions,
): void {
  log.warn({ reason, eventId, cardId }, "event refused");
}

function countResults(results: readonly Recorded[]) {
  const count = (kind: Recorded) =>
    results.filter((result) => result === kind).length;
  return {
    recorded: count("recorded"),
    duplicates: count("duplicate") + count("earlier"),
    conflicts: count("conflict"),
  };
}
