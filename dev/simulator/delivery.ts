import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Faults } from "./faults.ts";
import type { Answer } from "./post.ts";
import { createPost } from "./post.ts";
import type { Random } from "./random.ts";
import type { Announcement } from "./ledger.ts";

/** How a webhook fared. */
export interface SentEvent {
  readonly eventId: string;
  readonly eventType: string;
  /** The answers to all its tries, copies too; "none" where there was no answer. */
  readonly answers: readonly Answer[];
  readonly outcome: "waiting" | "delivered" | "given up" | "lost";
}

export interface Delivery {
  readonly announce: (announcement: Announcement) => void;
  readonly events: () => readonly SentEvent[];
  /** Where webhooks go; until it is known they wait. */
  readonly sendTo: (url: string) => void;
  /** Resolves when nothing is on its way any more. */
  readonly untilDelivered: () => Promise<void>;
  /** What is on its way is given up. */
  readonly stop: () => Promise<void>;
}

export interface DeliveryOptions {
  readonly secret: string;
  readonly nowMs: () => number;
  readonly faults: Faults;
  readonly random: Random;
  /** All waits are divided by it. */
  readonly haste: number;
  /** False: all tries of a webhook bear the time of the first one. Which of the two UQPAY does is not known. */
  readonly signsEachTry: boolean;
  readonly onAnswer: (eventType: string, answer: Answer) => void;
}

/** Before the second try, the third, …: after six nothing comes any more. */
export const RETRY_WAITS_MS = [16_000, 32_000, 64_000, 128_000, 256_000];

const MOST_DELAY_MS = 60_000;
const SLOW_MS = 3_000;
const STALE_MS = 600_000;
/** A webhook that waits for later ones waits no longer than this. */
const REORDER_MS = 2_000;

type Mutable<Type> = { -readonly [Name in keyof Type]: Type[Name] };

/** A webhook on its way. */
interface Sending {
  readonly event: Mutable<SentEvent> & { answers: Answer[] };
  readonly body: string;
  /** By UQPAY's clock. */
  readonly signedAtMs: number | undefined;
}

/** Sends webhooks as UQPAY does, and with the faults that are asked for. */
export function createDelivery(options: DeliveryOptions): Delivery {
  const { faults, random, nowMs, haste } = options;
  const events: Sending["event"][] = [];
  const stopping = new AbortController();
  const { signal } = stopping;
  // One for each webhook that waits.
  setMaxListeners(0, signal);
  const underWay = new Set<Promise<void>>();
  /** Those that wait until later ones were sent. */
  const held: (() => void)[] = [];
  const post = createPost(options.secret, nowMs, signal);

  const pause = (ms: number) => sleep(ms / haste, undefined, { signal });

  function start(work: () => Promise<void>): void {
    const running = work()
      .catch((error: unknown) => {
        if (!signal.aborted) throw error;
      })
      .finally(() => underWay.delete(running));
    underWay.add(running);
  }

  function announce({ eventType, sourceId, data }: Announcement): void {
    const eventId = random.uuid();
    const event = { eventId, eventType, answers: [], outcome: "waiting" };
    const names = { version: "V1.6.0", event_name: "ISSUING" };
    const ids = { event_type: eventType, event_id: eventId };
    const body = JSON.stringify({
      ...names,
      ...ids,
      source_id: sourceId,
      data,
    });
    const sending = { event, body, signedAtMs: undefined } as Sending;
    events.push(sending.event);
    if (faults.strikes("lost")) sending.event.outcome = "lost";
    else start(() => send(sending));
  }

  async function send(sending: Sending): Promise<void> {
    const isReordered = faults.strikes("reordered");
    const isDelayed = faults.strikes("delayed");
    const isSentTwice = faults.strikes("duplicated");
    const isSignedAnew = faults.strikes("signed-anew");
    const isConflicting = faults.strikes("conflicting");
    const isStale = faults.strikes("stale");
    const delayMs = isDelayed ? random.between(0, MOST_DELAY_MS) : 0;
    if (isReordered) await untilOthersWereSent();
    if (isDelayed) await pause(delayMs);
    const firstSignedAtMs = isStale ? nowMs() - STALE_MS : nowMs();
    // As when the first try is held up on its way, and the second one, signed anew, overtakes it.
    if (isSignedAnew) await pause(RETRY_WAITS_MS[0] ?? 0);
    const keepsItsTime = isSentTwice || !options.signsEachTry;
    const isSignedOnce = isStale || (keepsItsTime && !isSignedAnew);
    const signedAtMs = isSignedOnce ? firstSignedAtMs : undefined;
    await sendUntilTaken({ ...sending, signedAtMs });
    if (!isReordered) for (const release of held.splice(0)) release();
    if (sending.event.outcome !== "delivered") return;
    if (isSentTwice) await sendOnce({ ...sending, signedAtMs });
    if (isSignedAnew)
      await sendOnce({ ...sending, signedAtMs: firstSignedAtMs });
    if (isConflicting)
      await sendOnce({ ...sending, body: conflicting(sending) });
  }

  async function untilOthersWereSent(): Promise<void> {
    const others = new Promise<void>((resolve) => held.push(resolve));
    await Promise.race([others, pause(REORDER_MS)]);
  }

  async function sendUntilTaken(sending: Sending): Promise<void> {
    const { event, body } = sending;
    for (const waitMs of [...RETRY_WAITS_MS, undefined]) {
      const isCut = event.answers.length === 0 && faults.strikes("malformed");
      const cut = body.slice(0, body.length / 2);
      const answer = await sendOnce(
        isCut ? { ...sending, body: cut } : sending,
      );
      if (answer === 200) {
        event.outcome = "delivered";
        return;
      }
      if (waitMs !== undefined) await pause(waitMs);
    }
    event.outcome = "given up";
  }

  async function sendOnce({
    event,
    body,
    signedAtMs,
  }: Sending): Promise<Answer> {
    const slowMs = faults.strikes("slow") ? SLOW_MS / haste : 0;
    const answer = await post.send(body, signedAtMs, slowMs);
    event.answers.push(answer);
    options.onAnswer(event.eventType, answer);
    return answer;
  }

  return {
    announce,
    events: () => events,
    sendTo: post.sendTo,
    untilDelivered: async () => {
      while (underWay.size > 0) await Promise.all(underWay);
    },
    stop: async () => {
      stopping.abort();
      await Promise.allSettled(underWay);
    },
  };
}

/** The same event with one field more. */
function conflicting({ body }: Sending): string {
  const event = JSON.parse(body) as { data: object };
  const data = { ...event.data, conflict: "another content" };
  return JSON.stringify({ ...event, data });
}
