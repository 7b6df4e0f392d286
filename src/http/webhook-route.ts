import type { Request, RequestHandler, Response } from "express";
import { Router } from "express";
import type { Metrics, WebhookOutcome } from "../metrics.ts";
import type { Receipt, WebhookReceiver } from "../receive-webhook.ts";
import type { TrustedProxies } from "./allow-addresses.ts";
import { allowAddresses } from "./allow-addresses.ts";
import { answerError, answerJson } from "./answers.ts";
import { IN_FLIGHT_LIMITS, limitInFlight } from "./limit-in-flight.ts";
import { readRawBody } from "./read-raw-body.ts";

export interface WebhookRouteOptions {
  readonly receive: WebhookReceiver["receive"];
  /** IP addresses and CIDR ranges; undefined: everybody may try. */
  readonly allowedAddresses: readonly string[] | undefined;
  readonly trustedProxies: TrustedProxies;
  readonly metrics: Pick<Metrics, "answered">;
  /** Told of every answer but 200: its code, and where that says too little, a word for the cause. */
  readonly onRefused: (outcome: WebhookOutcome, cause?: string) => void;
  /** Told why a delivery could not be stored. */
  readonly onUnavailable: (error: unknown) => void;
}

/** `POST /webhooks/uqpay`: bytes and headers in, status and body out. Knows no rule of its own. */
export function webhookRoute(options: WebhookRouteOptions): Router {
  const { allowedAddresses, trustedProxies } = options;
  const inFlight = limitInFlight(IN_FLIGHT_LIMITS);
  const guards = [
    ...(allowedAddresses === undefined
      ? []
      : [allowAddresses(allowedAddresses, trustedProxies)]),
    inFlight.guard,
  ];
  const router = Router();
  router
    .route("/webhooks/uqpay")
    .post(
      countAnswers(options),
      ...guards,
      ...readRawBody(inFlight.hold),
      receiveDelivery(options),
    )
    .all(refuseMethod);
  return router;
}

function receiveDelivery({
  receive,
  onUnavailable,
}: WebhookRouteOptions): RequestHandler {
  return async (request, response) => {
    try {
      const receipt = await receive({
        rawBody: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
        signature: readOnce(request, "x-wk-signature"),
        timestamp: readOnce(request, "x-wk-timestamp"),
      });
      answer(response, receipt);
    } catch (error) {
      onUnavailable(error);
      answerError(response, "unavailable");
    }
  };
}

/** Node joins a header that came twice with a comma, which is in neither of these two when they are right. */
function readOnce(request: Request, name: string): string | undefined {
  const value = request.headers[name];
  if (typeof value !== "string" || !value.includes(","))
    return value as string | undefined;
  return request.headersDistinct[name]?.length === 1 ? value : undefined;
}

function answer(response: Response, receipt: Receipt): void {
  switch (receipt.kind) {
    case "accepted":
    case "duplicate":
    case "ignored":
      response.locals["outcome"] = receipt.kind;
      answerJson(response, 200, {
        status: receipt.kind,
        event_id: receipt.eventId,
      });
      return;
    case "invalid_payload":
      answerError(response, receipt.kind, receipt.issues);
      return;
    case "missing_signature":
    case "invalid_signature":
    case "stale_timestamp":
    case "invalid_json":
      answerError(response, receipt.kind);
  }
}

/** Counts every answer, and tells of those that were refused. */
function countAnswers({
  metrics,
  onRefused,
}: WebhookRouteOptions): RequestHandler {
  return (_request, response, next) => {
    const startedAt = performance.now();
    response.on("finish", () => {
      const { outcome, cause } = response.locals as {
        readonly outcome: WebhookOutcome;
        readonly cause?: string;
      };
      metrics.answered(outcome, (performance.now() - startedAt) / 1000);
      if (response.statusCode !== 200) onRefused(outcome, cause);
    });
    next();
  };
}

const refuseMethod: RequestHandler = (_request, response) => {
  response.set("Allow", "POST");
  answerError(response, "method_not_allowed");
};
