import { createHash, randomUUID } from "node:crypto";
import type { Payload } from "./fixtures.ts";
import { signedHeaders } from "./fixtures.ts";
import { SECRET } from "./service.ts";

type Data = Readonly<Record<string, unknown>>;

/** An event as UQPAY sends it. Fields by the names of the wire; what a test does not say does not matter to it. */
function anEvent(
  type: string,
  data: Data,
  envelope: Partial<Payload>,
): Payload {
  return {
    version: "V1.6.0",
    event_name: "ISSUING",
    event_type: type,
    event_id: randomUUID(),
    source_id: randomUUID(),
    ...envelope,
    data,
  };
}

export function aStatusUpdate(
  data: Data = {},
  envelope: Partial<Payload> = {},
): Payload {
  return anEvent(
    "card.status.update.succeeded",
    {
      card_id: randomUUID(),
      card_number: "40963608****8664",
      card_status: "FROZEN",
      update_time: "2026-04-12T10:00:00+08:00",
      ...data,
    },
    envelope,
  );
}

export function aCardUpdate(
  data: Data = {},
  envelope: Partial<Payload> = {},
): Payload {
  return anEvent(
    "card.update.succeeded",
    { card_id: randomUUID(), card_status: "ACTIVE", ...data },
    envelope,
  );
}

export function aRecharge(
  data: Data = {},
  envelope: Partial<Payload> = {},
): Payload {
  return anEvent(
    "card.recharge.succeeded",
    {
      card_id: randomUUID(),
      amount: "200",
      card_available_balance: "242",
      card_currency: "USD",
      card_status: "ACTIVE",
      complete_time: "2026-04-12T15:27:39+08:00",
      order_status: "SUCCESS",
      ...data,
    },
    envelope,
  );
}

export function anOrderFailure(
  type: "create" | "update" | "recharge",
  data: Data = {},
  envelope: Partial<Payload> = {},
): Payload {
  return anEvent(`card.${type}.failed`, data, envelope);
}

export function aCardholderEvent(
  type: "kyc.status_changed" | "updated",
  data: Data = {},
  envelope: Partial<Payload> = {},
): Payload {
  return anEvent(
    `cardholder.${type}`,
    {
      cardholder_id: randomUUID(),
      cardholder_status: "SUCCESS",
      idv_status: "PASSED",
      first_name: "Sdk",
      email: "sdk@example.com",
      update_time: "2026-04-08T17:01:47+08:00",
      ...data,
    },
    envelope,
  );
}

export function aPinBlock(
  data: Data = {},
  envelope: Partial<Payload> = {},
): Payload {
  return anEvent(
    "card.PIN.retry.exceed.soft.block",
    { card_id: randomUUID(), card_number: "1234********3381", ...data },
    envelope,
  );
}

export function anAuthorization(
  data: Data = {},
  envelope: Partial<Payload> = {},
): Payload {
  return anEvent(
    "issuing.transaction.authorization",
    {
      transaction_id: randomUUID(),
      card_id: randomUUID(),
      transaction_status: "APPROVED",
      transaction_amount: "10",
      transaction_currency: "SGD",
      transaction_time: "2026-04-12T15:27:39.48+08:00",
      ...data,
    },
    envelope,
  );
}

export function anMccDecline(data: Data = {}): Payload {
  return anAuthorization({
    transaction_status: "DECLINED",
    description: "Forbid MCC from account",
    merchant_data: [{ category_code: "5999", name: "SHOP" }],
    ...data,
  });
}

export function anOtp(
  data: Data = {},
  envelope: Partial<Payload> = {},
): Payload {
  return anEvent(
    "card.3ds.otp",
    { card_id: randomUUID(), otp: "48151623", ...data },
    envelope,
  );
}

export interface DeliveryOptions {
  readonly secret?: string;
  /** When it is signed; now by default. */
  readonly atMs?: number;
  /** In place of, or on top of, the right ones. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
}

/** Signs an event, or exact bytes, and posts it. */
export async function deliver(
  { baseUrl }: { readonly baseUrl: string },
  event: Payload | string | Buffer,
  { secret = SECRET, atMs = Date.now(), headers }: DeliveryOptions = {},
): Promise<Answer> {
  const body = bytesOf(event);
  const response = await fetch(`${baseUrl}/webhooks/uqpay`, {
    method: "POST",
    headers: { ...signedHeaders(body, { secret, atMs }), ...headers },
    body,
  });
  return {
    status: response.status,
    body: await response.json(),
    headers: response.headers,
  };
}

export function bytesOf(event: Payload | string | Buffer): Buffer {
  if (Buffer.isBuffer(event)) return event;
  return Buffer.from(typeof event === "string" ? event : JSON.stringify(event));
}

export function sha256(event: Payload | string | Buffer): Buffer {
  return createHash("sha256").update(bytesOf(event)).digest();
}

/** The event in one line, with a part of the text replaced: for JSON that `JSON.stringify` cannot write. */
export function textOf(event: Payload, from = "", to = ""): string {
  return JSON.stringify(event).replace(from, () => to);
}
