import { Unreadable, isObject } from "../fields.ts";
import type { ApiFault } from "./api-error.ts";
import { UqpayApiError } from "./api-error.ts";
import type { ApiAnswer } from "./send-request.ts";

/** @throws UqpayApiError for what is no success */
export function refuseFaults(request: string, answer: ApiAnswer): void {
  const fault = faultOf(answer);
  if (fault === undefined) return;
  const { status } = answer;
  const code = codeOf(answer);
  const pauseMs = fault === "rate-limited" ? pauseAfter(answer) : undefined;
  throw new UqpayApiError({ request, fault, status, code, pauseMs });
}

/** @throws UqpayApiError for a success that is not of the form that is documented */
export function readingOf<Value>(
  request: string,
  { json, status }: ApiAnswer,
  read: (json: unknown) => Value,
): Value {
  try {
    return read(json);
  } catch (cause) {
    // Its message names the field and what is expected of it, and nothing of the answer.
    if (!(cause instanceof Unreadable)) throw cause;
    throw new UqpayApiError({ request, fault: "unreadable", status, cause });
  }
}

const MINUTE_MS = 60_000;
const LONGEST_PAUSE_MS = 5 * MINUTE_MS;

/** UQPAY counts by the calendar minute (rate limiting page) and documents no Retry-After. Its clock shows whole seconds. */
function pauseAfter({ dateMs, retryAfterMs }: ApiAnswer): number {
  const restOfMinuteMs =
    dateMs === undefined ? MINUTE_MS : MINUTE_MS - (dateMs % MINUTE_MS);
  return Math.min(retryAfterMs ?? restOfMinuteMs, LONGEST_PAUSE_MS);
}

/**
 * What is wrong with an answer by its status, which is the one to trust (error codes guide): its body has one of two
 * forms, `{type, code, message}` or a flat one without a type and with a number as its code, or is none of them.
 *
 * @returns undefined for a success
 */
function faultOf({ status, json }: ApiAnswer): ApiFault | undefined {
  if (status === 429) return "rate-limited";
  if (status === 401 || status === 403) return "unauthorized";
  if (status === 408 || status >= 500) return "unavailable";
  if (status >= 200 && status < 300)
    return json === undefined ? "unavailable" : undefined;
  return isNotFound(status, json) ? "not-found" : "refused";
}

/** A 404 that is no JSON is that of a wrong base URL, and says nothing of a card. */
function isNotFound(status: number, json: unknown): boolean {
  if (!isObject(json)) return false;
  const words = [json["type"], json["code"]];
  return (
    status === 404 ||
    (status < 500 &&
      words.some((word) => /(?:^|_)not_found$/.test(String(word))))
  );
}

/** UQPAY's own word for an error: such as `card_not_found`, or a number. Never a text, which may hold anything. */
function codeOf({ json }: ApiAnswer): string | undefined {
  if (!isObject(json)) return undefined;
  const code = String(json["code"]);
  return /^[a-z\d_]{1,64}$/i.test(code) && "code" in json ? code : undefined;
}
