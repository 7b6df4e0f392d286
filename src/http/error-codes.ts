type Errors = Readonly<Record<string, readonly [number, string]>>;

/** UQPAY's largest known event has about 1.4 KB; a metadata of the largest size still fits many times. */
export const MAX_BODY_BYTES = 256 * 1024;

const UNREADABLE = "The request could not be read.";

/** How a delivery can be refused. The same codes are labels of the metrics, words of the log and reasons of the quarantine. */
export const WEBHOOK_ERRORS = {
  missing_signature: [
    401,
    "Send x-wk-signature and x-wk-timestamp, each exactly once.",
  ],
  invalid_signature: [401, "The signature matches no configured secret."],
  stale_timestamp: [
    401,
    "The signature is right, but x-wk-timestamp is outside the tolerance.",
  ],
  invalid_json: [400, "The body is not JSON in UTF-8."],
  invalid_payload: [422, "The event failed validation; see `issues`."],
  payload_too_large: [
    413,
    `The body must have at most ${String(MAX_BODY_BYTES)} bytes.`,
  ],
  unsupported_media_type: [
    415,
    "Send application/json, plain or compressed by gzip, deflate or br.",
  ],
  address_not_allowed: [403, "This address may not deliver here."],
  bad_request: [400, UNREADABLE],
  unavailable: [503, "The event could not be stored. Please deliver it again."],
} as const satisfies Errors;

/** Every error that an answer can name: its code, its status and what it says. */
export const ERRORS = {
  ...WEBHOOK_ERRORS,
  expectation_failed: [417, UNREADABLE],
  headers_too_large: [431, UNREADABLE],
  request_timeout: [408, UNREADABLE],
  method_not_allowed: [405, "Only POST is possible here."],
  not_found: [404, "There is nothing at this path."],
  unauthorized: [401, "Send the admin token as a bearer token."],
} as const satisfies Errors;

export type WebhookErrorCode = keyof typeof WEBHOOK_ERRORS;
export type ErrorCode = keyof typeof ERRORS;
