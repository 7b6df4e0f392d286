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

export interface Sender {
  /** The whole chain of attempts. True once one was answered with 200 and the answer was read. */
  readonly deliver: (event: SentEvent) => Promise<boolean>;
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

  const attempt = async (event: SentEvent, port: number): Promise<boolean> => {
    const startedAt = performance.now();
    const result = await post(event, port, options.secret, agent);
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
        if (result.status === 200 && isAbout(event, result.body)) return true;
        figures.refused += 1;
        if (result.status !== 503)
          wrongAnswers.push(
            `${event.id}: ${String(result.status)} ${result.body.slice(0, 200)}`,
          );
        return false;
    }
  };

  return {
    deliver: async (event) => {
      const first = turn++;
      for (let retry = 0; ; retry += 1) {
        const port = options.ports[(first + retry) % options.ports.length]!;
        if (await attempt(event, port)) return true;
        if (retry === RETRIES) return false;
        await sleep(waitBeforeRetryMs(retry + 1) / options.factor);
      }
    },
    figures: () => figures,
    wrongAnswers: () => wrongAnswers,
    close: () => agent.destroy(),
  };
}

function isAbout(event: SentEvent, body: string): boolean {
  const { event_id: id } = JSON.parse(body) as { event_id?: unknown };
  return id === event.id;
}

function post(
  event: SentEvent,
  port: number,
  secret: string,
  agent: Agent,
): Promise<Attempt> {
  const nowMs = Date.now();
  const timestamp = String(
    event.signsInSeconds ? Math.floor(nowMs / 1000) : nowMs,
  );
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
