import { createHmac, timingSafeEqual } from "node:crypto";

/** What of a delivery is signed. A header that came more than once counts as absent. */
export interface SignedDelivery {
  /** The request's body, byte for byte. */
  readonly rawBody: Buffer;
  /** Header `x-wk-signature`. */
  readonly signature: string | undefined;
  /** Header `x-wk-timestamp`, as text: exactly this text was signed. */
  readonly timestamp: string | undefined;
}

export interface SignatureRules {
  /** Any of them may have signed: so that a secret can be rotated without a gap. */
  readonly secrets: readonly string[];
  readonly toleranceSeconds: number;
}

export type Verification =
  | {
      readonly kind: "valid";
      readonly signedAtMs: number;
      /** The place of the secret that signed, from 1. */
      readonly secret: number;
    }
  | { readonly kind: "missing" }
  | { readonly kind: "invalid" }
  /** Authentic, but outside the tolerance; `signedAtMs` is undefined when the signed text is no time at all. */
  | {
      readonly kind: "stale";
      readonly signedAtMs: number | undefined;
      readonly secret: number;
    };

/** HMAC-SHA512 in hex. */
const SIGNATURE_FORM = /^[0-9a-f]{128}$/i;

/**
 * UQPAY signs the body followed by the header's text, without a separator, with HMAC-SHA512 in hex. Its pages
 * say otherwise; all five of its SDKs agree on this (Go webhook/verifier.go, Python uqpay/webhooks.py, 2026-08).
 *
 * The MAC comes before the age: only so is it known that a stale delivery is authentic and worth keeping.
 */
export function verifySignature(
  delivery: SignedDelivery,
  rules: SignatureRules,
  nowMs: number,
): Verification {
  const { rawBody, signature, timestamp } = delivery;
  if (!signature || !timestamp) return { kind: "missing" };
  const secret = findSigner(rules.secrets, rawBody, timestamp, signature);
  if (secret === 0) return { kind: "invalid" };
  const signedAtMs = readTimestamp(timestamp);
  const isFresh =
    signedAtMs !== undefined &&
    Math.abs(nowMs - signedAtMs) <= rules.toleranceSeconds * 1000;
  return isFresh
    ? { kind: "valid", signedAtMs, secret }
    : { kind: "stale", signedAtMs, secret };
}

/** Signs as UQPAY does; for the tools and the tests. */
export function sign(
  rawBody: Buffer | string,
  timestamp: string,
  secret: string,
): string {
  return createHmac("sha512", secret)
    .update(rawBody)
    .update(timestamp)
    .digest("hex");
}

/** @returns the place of the secret that signed, from 1; 0 when none did */
function findSigner(
  secrets: readonly string[],
  rawBody: Buffer,
  timestamp: string,
  signature: string,
): number {
  if (!SIGNATURE_FORM.test(signature)) return 0;
  const claimed = Buffer.from(signature, "hex");
  const index = secrets.findIndex((secret) => {
    const right = createHmac("sha512", secret)
      .update(rawBody)
      .update(timestamp)
      .digest();
    return timingSafeEqual(claimed, right);
  });
  return index + 1;
}

/**
 * Real traffic has 13 digits (milliseconds), the pages show 10 (seconds); the SDKs since 2.0.0 take anything
 * from 1 000 000 000 000 on for milliseconds.
 */
function readTimestamp(timestamp: string): number | undefined {
  if (!/^\d{1,15}$/.test(timestamp)) return undefined;
  const number = Number(timestamp);
  const ms = number >= 1_000_000_000_000 ? number : number * 1000;
  return ms <= LATEST_WRITABLE_MS ? ms : undefined;
}

/** 9999-12-31T23:59:59.999Z: the last moment with a year of four digits. */
const LATEST_WRITABLE_MS = 253_402_300_799_999;
