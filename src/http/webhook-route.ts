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
  const router = Router();
  router
    .route("/webhooks/uqpay")
    .post(
      countAnswers(options),
      ...(allowedAddresses === undefined
        ? []
        : [allowAddresses(allowedAddresses, trustedProxies)]),
      inFlight.guard,
      readRawBody(inFlight.hold),
      receiveDelivery(options),
    )
    .all((_request, response) => {
      response.set("Allow", "POST");
      answerError(response, "method_not_allowed");
    });
  return router;
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

function receiveDelivery({
  receive,
  onUnavailable,
}: WebhookRouteOptions): RequestHandler {
  return async (request, response) => {
    try {
      const receipt = await receive({
        rawBody: request.body as Buffer,
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

function readOnce(request: Request, name: string): string | undefined {
  const values = request.headersDistinct[name];
  return values?.length === 1 ? values[0] : undefined;
}

function answer(response: Response, receipt: Receipt): void {
  if ("eventId" in receipt) {
    const { kind: status, eventId: event_id } = receipt;
    response.locals["outcome"] = status;
    answerJson(response, 200, { status, event_id });
  } else {
    const issues = "issues" in receipt ? receipt.issues : undefined;
    answerError(response, receipt.kind, issues);
  }
}
