import { hasCodeField } from "./card-secrets.ts";

/** Event types whose whole purpose is to carry a code or a key. */
const SENSITIVE_TYPES: ReadonlySet<string> = new Set([
  "card.3ds.otp",
  "card.verification.otp",
  "card.activation.code",
  "issuing.report.created",
  "issuing.report.succeeded",
]);

/**
 * Whether the body must not be kept. That of an event with a handler is always kept, since it is needed to reconcile:
 * without the codes that should not be in it, see `withoutCardSecrets`. An event without one may carry a code under any
 * name beside the one that is found.
 *
 * @param eventType undefined when the body could not be read far enough to know
 */
export function isSensitive(
  eventType: string | undefined,
  hasHandler: boolean,
  text: string,
): boolean {
  if (eventType !== undefined && SENSITIVE_TYPES.has(eventType)) return true;
  return !hasHandler && hasCodeField(text);
}
