import { createHmac } from "node:crypto";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { SentEvent } from "./events.ts";

/** Of domain.md, section 2: five retries, and the wait before the n-th is 2^(n+3) seconds. Then silence. */
const RETRIES = 5;
const waitBeforeRetryMs = (retry: number) => 2 ** (retry + 3) * 1000;

/** UQPAY's patience with one attempt is not published; nothing here is compressed. */
const ATTEMPT_TIMEOUT_MS = 3_000;

export interface SenderOptions {
  /** The webhook's addresses; each retry goes to the next one. */
  readonly ports: readonly number[];
  readonly secret: string;
  /** How much faster than UQPAY's the waits between retries pass. */
  readonly factor: number;
}

export interface SenderFigures {
  readonly attempts: number;
  readonly refused: number;
  readonly broken: number;
  readonly timedOut: number;
  readonly slowestAnswerMs: number;
}

/** When the copies of an event were signed, in milliseconds since 1970. */
export interface Signings {
  /** Of all that were sent: of one that was not answered nobody knows whether it came. */
  readonly sent: Set<number>;
  /** Of those that were answered, so that they must count. */
  readonly answered: Set<number>;
}

export interface Sender {
  /**
   * The whole chain of attempts. True once one was answered as it must be and the answer was read: with 200, or with
   * 401 when it was stale.
   *
   * @param ageMs how long ago the next attempt is signed
   */
  readonly deliver: (event: SentEvent, ageMs: () => number) => Promise<boolean>;
  /** By event id. */
  readonly signings: ReadonlyMap<string, Signings>;
  readonly figures: () => SenderFigures;
  /** Answers that a correct delivery must never get. */
  readonly wrongAnswers: () => readonly string[];
  readonly close: () => void;
}

type Attempt =
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly body: string;
    }
  | { readonly kind: "broken" | "timed-out" };

/** The service's default; nearer than this to it no attempt is signed, so that its answer is certain. */
const TOLERANCE_MS = 300_000;

/** Behaves like UQPAY: signs each attempt anew, believes a 200 only, retries, and falls silent. */
export function createSender(options: SenderOptions): Sender {
  const agent = new Agent({ keepAlive: true, scheduling: "fifo" });
  const figures = {
    attempts: 0,
    refused: 0,
    broken: 0,
    timedOut: 0,
    slowestAnswerMs: 0,
  };
  const wrongAnswers: string[] = [];
  let turn = 0;

  const signings = new Map<string, Signings>();
  const attempt = async (
    event: SentEvent,
    ageMs: number,
    port: number,
  ): Promise<boolean> => {
    const startedAt = performance.now();
    const signedMs = signingTime(event, ageMs);
    const times = signings.get(event.id) ?? {
      sent: new Set(),
      answered: new Set(),
    };
    signings.set(event.id, times);
    times.sent.add(signedMs);
    const result = await post(event, signedMs, port, options.secret, agent);
    figures.attempts += 1;
    switch (result.kind) {
      case "broken":
        figures.broken += 1;
        return false;
      case "timed-out":
        figures.timedOut += 1;
        return false;
      case "answered":
        figures.slowestAnswerMs = Math.max(
          figures.slowestAnswerMs,
          performance.now() - startedAt,
        );
        if (isRight(event, ageMs, result)) {
          times.answered.add(signedMs);
          return true;
        }
        figures.refused += 1;
        if (result.status !== 503)
          wrongAnswers.push(
            `${event.id}: ${String(result.status)} ${result.body.slice(0, 200)}`,
          );
        return false;
    }
  };

  return {
    deliver: async (event, ageMs) => {
      const first = turn++;
      for (let retry = 0; ; retry += 1) {
        const port = options.ports[(first + retry) % options.ports.length]!;
        if (await attempt(event, ageMs(), port)) return true;
        if (retry === RETRIES) return false;
        await sleep(waitBeforeRetryMs(retry + 1) / options.factor);
      }
    },
    signings,
    figures: () => figures,
    wrongAnswers: () => wrongAnswers,
    close: () => agent.destroy(),
  };
}

function isRight(
  event: SentEvent,
  ageMs: number,
  { status, body }: { readonly status: number; readonly body: string },
): boolean {
  const { event_id: id, error } = JSON.parse(body) as {
    event_id?: unknown;
    error?: { code?: unknown };
  };
  return ageMs > TOLERANCE_MS
    ? status === 401 && error?.code === "stale_timestamp"
    : status === 200 && id === event.id;
}

/** As the header says it. */
function signingTime(event: SentEvent, ageMs: number): number {
  const ms = Date.now() - ageMs;
  return event.signsInSeconds ? Math.floor(ms / 1000) * 1000 : ms;
}

function post(
  event: SentEvent,
  signedMs: number,
  port: number,
  secret: string,
  agent: Agent,
): Promise<Attempt> {
  const timestamp = String(event.signsInSeconds ? signedMs / 1000 : signedMs);
  const signature = createHmac("sha512", secret)
    .update(event.body)
    .update(timestamp)
    .digest("hex");
  return new Promise((resolve) => {
    const end = (result: Attempt) => {
      clearTimeout(timer);
      resolve(result);
    };
    const outgoing = request({
      agent,
      host: "127.0.0.1",
      port,
      path: "/webhooks/uqpay",
      method: "POST",
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(event.body),
        "x-wk-timestamp": timestamp,
        "x-wk-signature": signature,
      },
    });
    const timer = setTimeout(() => {
      end({ kind: "timed-out" });
      outgoing.destroy();
    }, ATTEMPT_TIMEOUT_MS);
    outgoing.on("error", () => end({ kind: "broken" }));
    outgoing.on("response", (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (body += chunk));
      response.on("error", () => end({ kind: "broken" }));
      response.on("end", () =>
        end({ kind: "answered", status: response.statusCode ?? 0, body }),
      );
    });
    outgoing.end(event.body);
  });
}
