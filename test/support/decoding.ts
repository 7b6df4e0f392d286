import type { Instant } from "../../src/domain/instant.ts";
import type { Decoded } from "../../src/uqpay/decode-event.ts";
import { decodeEvent } from "../../src/uqpay/decode-event.ts";

export const times = {
  signedAt: "2026-05-01T08:00:00.123000Z" as Instant,
  receivedAt: "2026-05-01T08:00:01.456789Z" as Instant,
};

export const STATUS = "card.status.update.succeeded";
export const UPDATE = "card.update.succeeded";
export const CREATE = "card.create.succeeded";
export const ACTIVATION = "card.activation.status";
export const RECHARGE = "card.recharge.succeeded";
export const WITHDRAW = "card.withdraw.succeeded";
export const ELEVATE = "card.elevate_limit.succeeded";
export const PIN_BLOCK = "card.PIN.retry.exceed.soft.block";
export const ENROLLED = "card.risk_control.network_protection.enrolled";
export const REMOVED = "card.risk_control.network_protection.removed";
export const CREATE_FAILED = "card.create.failed";
export const FAILED_ORDERS = [
  "card.update.failed",
  "card.status.update.failed",
  "card.recharge.failed",
  "card.withdraw.failed",
  "card.elevate_limit.failed",
] as const;
export const KYC = "cardholder.kyc.status_changed";
export const HOLDER_UPDATE = "cardholder.updated";
export const AUTHORIZATION = "issuing.transaction.authorization";
export const REFUND = "issuing.transaction.refund";
/** https://developers.uqpay.com/card-issuance/v1.6/webhooks/transaction */
export const TRANSACTIONS = [
  AUTHORIZATION,
  REFUND,
  "issuing.transaction.atm.deposit",
  "issuing.transaction.chargeback.credit",
  "issuing.transaction.chargeback.debit",
  "issuing.transaction.fund.collection",
  "issuing.transaction.fund.transfer",
  "issuing.transaction.reversal",
  "issuing.transaction.settlement.credit",
  "issuing.transaction.settlement.debit",
  "issuing.transaction.settlement.reversal",
  "issuing.transaction.validation",
] as const;

export const CARD_FEE = "issuing.fee.card";
export const ENROLLMENT_FEE =
  "card.risk_control.network_protection.enrollment_fee.charged";
/** About no card: the account pays it for all of its cards. */
export const MAINTENANCE_FEE =
  "card.risk_control.network_protection.maintenance_fee.charged";

export const whole: Readonly<Record<string, Record<string, unknown>>> = {
  [STATUS]: {
    card_id: "card-1",
    card_status: "FROZEN",
    update_time: "2026-04-12T10:00:00+08:00",
  },
  [UPDATE]: { card_id: "card-1" },
  [CREATE]: { card_id: "card-1" },
  [ACTIVATION]: { card_id: "card-1" },
  [RECHARGE]: { card_id: "card-1" },
  [WITHDRAW]: { card_id: "card-1" },
  [ELEVATE]: {
    card_id: "card-1",
    per_transaction_limit: "80000",
    expires_at: "2026-05-21T09:30:00Z",
  },
  [PIN_BLOCK]: { card_id: "card-1" },
  [ENROLLED]: { card_id: "card-1" },
  [REMOVED]: { card_id: "card-1" },
  [CREATE_FAILED]: {},
  ...Object.fromEntries(FAILED_ORDERS.map((name) => [name, {}])),
  [KYC]: { cardholder_id: "holder-1" },
  [HOLDER_UPDATE]: { cardholder_id: "holder-1" },
  ...Object.fromEntries(
    [...TRANSACTIONS, CARD_FEE, ENROLLMENT_FEE].map((name) => [
      name,
      { card_id: "card-1", transaction_status: "APPROVED" },
    ]),
  ),
  [MAINTENANCE_FEE]: { transaction_status: "APPROVED" },
};

export function decodeText(text: string): Decoded {
  return decodeEvent(Buffer.from(text), times);
}

/** An event that is whole but for what is given. */
export function decode(
  eventType: string,
  data: Record<string, unknown> = {},
  outer: Record<string, unknown> = {},
): Decoded {
  return decodeText(
    JSON.stringify({
      event_id: "event-1",
      event_type: eventType,
      data: { ...whole[eventType], ...data },
      ...outer,
    }),
  );
}

/** As `decode`, where one value of the data is written as it stands: JSON.stringify would change the number. */
export function decodeRaw(
  eventType: string,
  field: string,
  json: string,
): Decoded {
  const data = JSON.stringify({ ...whole[eventType], [field]: "@" });
  return decodeText(
    `{"event_id":"event-1","event_type":"${eventType}","data":${data.replace('"@"', json)}}`,
  );
}

export function eventIn(decoded: Decoded) {
  if (decoded.kind !== "known")
    throw new Error(`not known: ${JSON.stringify(decoded)}`);
  return decoded.event;
}

/** What it states of a card. */
export function factsIn(decoded: Decoded) {
  const event = eventIn(decoded);
  if (!("facts" in event)) throw new Error(`it is ${event.kind}`);
  return event.facts;
}

export function issuesIn(decoded: Decoded) {
  if (decoded.kind !== "malformed") throw new Error(`it is ${decoded.kind}`);
  return decoded.issues;
}

export function unreadableIn(decoded: Decoded) {
  if (!("unreadable" in decoded)) throw new Error(`it is ${decoded.kind}`);
  return decoded.unreadable;
}

export function camelCaseOf(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

export function pathsIn(decoded: Decoded): string[] {
  return issuesIn(decoded).map(({ path }) => path);
}

export function eventWith(
  eventType: string,
  json: string,
  field = "field",
): string {
  const data = JSON.stringify({ ...whole[eventType], [field]: "@" });
  return `{"event_id":"e","event_type":"${eventType}","data":${data.replace('"@"', () => json)}}`;
}

export function deep(levels: number): unknown {
  return levels === 0 ? 1 : [deep(levels - 1)];
}
