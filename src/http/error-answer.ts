import type { ErrorRequestHandler, RequestHandler, Response } from "express";
import { answerJson } from "./answer-json.ts";

/** One thing that is wrong with a payload, by the dotted path of the field. */
export interface AnswerIssue {
  readonly path: string;
  readonly message: string;
}

/** Every code of an answer. What counts, logs or keeps one spells it in the same way. */
export type ErrorCode =
  | "missing_signature"
  | "invalid_signature"
  | "stale_timestamp"
  | "invalid_json"
  | "invalid_payload"
  | "payload_too_large"
  | "unsupported_media_type"
  | "address_not_allowed"
  | "unavailable"
  | "bad_request"
  | "expectation_failed"
  | "headers_too_large"
  | "method_not_allowed"
  | "not_found"
  | "request_timeout"
  | "unauthorized";

/** Writes an error in the form that every error of this service has, and leaves its code in `locals.outcome`. */
export function answerError(
  response: Response,
  status: number,
  code: ErrorCode,
  message: string,
  issues?: readonly AnswerIssue[],
): void {
  response.locals["outcome"] = code;
  answerJson(response, status, {
    error: { code, message, ...(issues && { issues }) },
  });
}

export const answerNotFound: RequestHandler = (_request, response) => {
  answerError(response, 404, "not_found", "There is nothing at this path.");
};

/** Few enough that UQPAY's next try, 16 s later, is always after it. */
const RETRY_AFTER_SECONDS = 2;

/** Not stored, by our own fault: UQPAY should try again. */
export function answerUnavailable(response: Response): void {
  response.set("Retry-After", String(RETRY_AFTER_SECONDS));
  answerError(
    response,
    503,
    "unavailable",
    "The event could not be stored. Please deliver it again.",
  );
}

/**
 * The last resort: what was thrown on the way to a handler. An error's own message never leaves the process.
 *
 * @param report told of errors that are our fault
 */
export function createErrorHandler(
  report: (error: unknown) => void,
): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const status = statusOf(error);
    if (status >= 500) {
      report(error);
      answerUnavailable(response);
    } else {
      answerError(
        response,
        status,
        "bad_request",
        "The request could not be read.",
      );
    }
  };
}

/** Express and its body reader hang a status on what is the sender's fault. */
function statusOf(error: unknown): number {
  if (typeof error !== "object" || error === null || !("status" in error))
    return 500;
  return typeof error.status === "number" && error.status >= 400
    ? error.status
    : 500;
}
