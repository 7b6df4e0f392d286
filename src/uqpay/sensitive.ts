/** Event types whose whole purpose is to carry a code or a key. */
const SENSITIVE_TYPES: ReadonlySet<string> = new Set([
  "card.3ds.otp",
  "card.verification.otp",
  "card.activation.code",
  "issuing.report.created",
  "issuing.report.succeeded",
]);

/** Field names under which UQPAY sends codes and keys; for types that do not exist yet and for broken bodies. */
const SENSITIVE_FIELD = /"(?:otp|activation_code|secret_key|cvv|pin)"\s*:/i;

/**
 * Whether the body must not be kept. An event with a handler is always kept: it is needed to reconcile, and
 * none of the handled types carries a code.
 *
 * @param eventType undefined when the body could not be read far enough to know
 */
export function isSensitive(
  eventType: string | undefined,
  hasHandler: boolean,
  text: string,
): boolean {
  if (eventType !== undefined && SENSITIVE_TYPES.has(eventType)) return true;
  return !hasHandler && SENSITIVE_FIELD.test(text);
}
