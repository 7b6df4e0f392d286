import type { ServerResponse } from "node:http";
import type { Response } from "express";
import type { ErrorCode } from "./error-codes.ts";
import { ERRORS } from "./error-codes.ts";

/** One thing that is wrong with a payload, by the dotted path of the field. */
export interface AnswerIssue {
  readonly path: string;
  readonly message: string;
}

/**
 * Writes an answer by Node's own means: Express' `json` looks up settings and parses headers, which comes out the same each
 * time. Headers that were set before are kept, and Node leaves the body out where the request was a HEAD.
 */
export function answerJson(
  response: ServerResponse,
  status: number,
  value: object,
): void {
  const body = JSON.stringify(value);
  response.writeHead(status, {
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}

/** The form that every error of this service has. */
export function errorBody(
  code: ErrorCode,
  issues?: readonly AnswerIssue[],
): object {
  const [, message] = ERRORS[code];
  return { error: { code, message, ...(issues && { issues }) } };
}

/** Few enough that UQPAY's next try, 16 s later, is always after it. */
const RETRY_AFTER_SECONDS = 2;

/** Answers with an error, and leaves its code in `locals.outcome`. */
export function answerError(
  response: Response,
  code: ErrorCode,
  issues?: readonly AnswerIssue[],
): void {
  response.locals["outcome"] = code;
  if (code === "unavailable")
    response.set("Retry-After", String(RETRY_AFTER_SECONDS));
  answerJson(response, ERRORS[code][0], errorBody(code, issues));
}
