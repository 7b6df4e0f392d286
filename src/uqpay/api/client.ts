import { setTimeout as sleep } from "node:timers/promises";
import type { Instant } from "../../domain/instant.ts";
import { instantFromEpochMs } from "../../domain/instant.ts";
import type { RetryRules } from "../../process/retry.ts";
import { anyDelayAfter } from "../../process/retry.ts";
import type { ApiFault } from "./api-error.ts";
import { UqpayApiError } from "./api-error.ts";
import type { CardReading } from "./card-answer.ts";
import { readCard } from "./card-answer.ts";
import type { CardOrderReading } from "./order-answer.ts";
import { readCardOrder } from "./order-answer.ts";
import type { Page } from "./page-answer.ts";
import { readPage } from "./page-answer.ts";
import { readingOf, refuseFaults } from "./judge-answer.ts";
import { createSender } from "./send-authorized.ts";
import type { TransactionReading } from "./transaction-answer.ts";
import { readTransaction } from "./transaction-answer.ts";

export { UqpayApiError } from "./api-error.ts";
export type { CardReading } from "./card-answer.ts";
export type { CardOrderReading } from "./order-answer.ts";
export type { Page } from "./page-answer.ts";
export type { TransactionReading } from "./transaction-answer.ts";

/** The most that UQPAY gives at once. */
export const PAGE_SIZE = 100;

/** What of UQPAY's API is read here. Each throws an UqpayApiError, or an AbortError once its signal is aborted. */
export interface UqpayApi {
  /** @param page from 1 */
  readonly listCards: (
    page: number,
    signal?: AbortSignal,
  ) => Promise<Answer<Page<CardReading>>>;
  /** @throws UqpayApiError "not-found" where UQPAY knows no such card */
  readonly retrieveCard: (
    cardId: string,
    signal?: AbortSignal,
  ) => Promise<Answer<CardReading>>;
  readonly listTransactions: (
    which: TransactionFilter,
    page: number,
    signal?: AbortSignal,
  ) => Promise<Answer<Page<TransactionReading>>>;
  /** @throws UqpayApiError "not-found" where UQPAY knows no such order */
  readonly retrieveCardOrder: (
    orderId: string,
    signal?: AbortSignal,
  ) => Promise<Answer<CardOrderReading>>;
}

/** What is left out does not count. */
export interface TransactionFilter {
  readonly cardId?: string;
  readonly from?: Instant;
  readonly to?: Instant;
}

export interface Answer<Value> {
  readonly value: Value;
  /**
   * What UQPAY's clock was known to be before the request was sent: the latest header `Date` until then. Whatever changed
   * before is in the answer, but for UQPAY's lag. Undefined for the first answer of this client.
   */
  readonly knownBefore: Instant | undefined;
  /** The answer's own header `Date`, to the second. Later than the state that the answer shows. */
  readonly date: Instant | undefined;
}

/** How many calls may be sent, for all instances together. */
export interface CallBudget {
  /** @returns 0 when a call may be sent, which is then counted; else for how long not to ask again, in ms */
  readonly take: () => Promise<number>;
  /** UQPAY has answered 429: nobody sends a call for so long. */
  readonly closeFor: (pauseMs: number) => Promise<void>;
}

export interface UqpayApiOptions {
  /** May have a path; without a slash at its end. */
  readonly baseUrl: string;
  readonly clientId: string;
  readonly apiKey: string;
  readonly budget: CallBudget;
  /** Milliseconds; only differences count. */
  readonly nowMs: () => number;
  /** 0 to 1 */
  readonly random: () => number;
  /** Of one request. */
  readonly timeoutMs?: number;
  readonly retry?: RetryRules;
  /** Told of every call: of its fault, or undefined when it was answered. */
  readonly onCall?: (fault: ApiFault | undefined) => void;
}

const RETRY: RetryRules = {
  maxAttempts: 5,
  firstDelayMs: 500,
  maxDelayMs: 20_000,
};

/** What is read of UQPAY's API, within the budget and with all the patience that it needs. */
export function createUqpayApi(options: UqpayApiOptions): UqpayApi {
  const { budget, random, onCall = () => undefined, retry = RETRY } = options;
  const send = createSender(options);

  /** Tries again what may be over by then. */
  async function ask<Value>(
    name: string,
    path: string,
    read: (json: unknown) => Value,
    signal: AbortSignal | undefined,
  ): Promise<Answer<Value>> {
    for (let count = 1; ; count += 1)
      try {
        const answer = await askOnce(name, path, read, signal);
        onCall(undefined);
        return answer;
      } catch (error) {
        if (!(error instanceof UqpayApiError)) throw error;
        onCall(error.fault);
        const { pauseMs = 0 } = error;
        if (pauseMs > 0) await budget.closeFor(pauseMs);
        if (!error.isTransient || count >= retry.maxAttempts) throw error;
        const delayMs = pauseMs + anyDelayAfter(count, retry, random);
        await sleep(delayMs, undefined, { signal });
      }
  }

  async function askOnce<Value>(
    name: string,
    path: string,
    read: (json: unknown) => Value,
    signal: AbortSignal | undefined,
  ): Promise<Answer<Value>> {
    const { answer, knownBeforeMs } = await send(name, path, signal);
    refuseFaults(name, answer);
    return {
      value: readingOf(name, answer, read),
      knownBefore: toInstant(knownBeforeMs),
      date: toInstant(answer.dateMs),
    };
  }

  return {
    listCards: (page, signal) =>
      ask(
        "GET /v1/issuing/cards",
        `/v1/issuing/cards?${pageQuery(page)}`,
        (json) => readPage(json, readCard, PAGE_SIZE),
        signal,
      ),
    retrieveCard: async (cardId, signal) => {
      const name = "GET /v1/issuing/cards/{card_id}";
      const path = `/v1/issuing/cards/${segment(cardId, name)}`;
      return await ask(name, path, readCard, signal);
    },
    listTransactions: (which, page, signal) =>
      ask(
        "GET /v1/issuing/transactions",
        `/v1/issuing/transactions?${pageQuery(page)}${filterQuery(which)}`,
        (json) => readPage(json, readTransaction, PAGE_SIZE),
        signal,
      ),
    retrieveCardOrder: async (orderId, signal) => {
      const name = "GET /v1/issuing/cards/{order_id}/order";
      const path = `/v1/issuing/cards/${segment(orderId, name)}/order`;
      return await ask(name, path, readCardOrder, signal);
    },
  };
}

function toInstant(ms: number | undefined): Instant | undefined {
  return ms === undefined ? undefined : instantFromEpochMs(ms);
}

function pageQuery(page: number): string {
  return `page_size=${String(PAGE_SIZE)}&page_number=${String(page)}`;
}

function filterQuery({ cardId, from, to }: TransactionFilter): string {
  const values = { card_id: cardId, start_time: from, end_time: to };
  return Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `&${name}=${encodeURIComponent(String(value))}`)
    .join("");
}

/** An id is opaque text. One of dots alone would be another path, and UQPAY has none of that kind. */
function segment(id: string, request: string): string {
  if (/^\.*$/.test(id))
    throw new UqpayApiError({ request, fault: "not-found" });
  return encodeURIComponent(id);
}
