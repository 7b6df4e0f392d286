import type { AuthorizationReported } from "./card-event.ts";
import { clockOf } from "./clock.ts";
import type { Instant } from "./instant.ts";
import { earlier } from "./instant.ts";
import type { Registers } from "./registers.ts";
import { mergeRegisters, registersOf } from "./registers.ts";

/** What UQPAY tells of an authorization. Amounts are decimal text, the MCC is four digits. */
export interface AuthorizationRegisterFields {
  cardId: string;
  cardholderId: string;
  transactionType: string;
  transactionStatus: string;
  description: string;
  transactionAmount: string;
  transactionCurrency: string;
  billingAmount: string;
  billingCurrency: string;
  transactionFee: string;
  transactionFeeCurrency: string;
  authorizationCode: string;
  originalTransactionId: string;
  walletType: string;
  mcc: string;
  merchantName: string;
  merchantCity: string;
  merchantCountry: string;
  transactionTime: Instant;
  postedTime: Instant;
}

/** The fields that one event states. */
export type AuthorizationFields = {
  readonly [Field in keyof AuthorizationRegisterFields]?:
    AuthorizationRegisterFields[Field] | undefined;
};

/** What all events so far say of one transaction; converges like a card. */
export interface Authorization {
  readonly transactionId: string;
  readonly registers: Registers<
    AuthorizationRegisterFields & { lastEvent: true }
  >;
  /** The earliest time at which this service received an event about it. */
  readonly receivedAt: Instant;
}

/** @returns `known` itself when the event changes nothing */
export function applyToAuthorization(
  known: Authorization | undefined,
  event: AuthorizationReported,
): Authorization {
  const news = authorizationFrom(event);
  return known === undefined ? news : mergeAuthorizations(known, news);
}

export function mergeAuthorizations(
  known: Authorization,
  news: Authorization,
): Authorization {
  const registers = mergeRegisters(known.registers, news.registers);
  const receivedAt = earlier(known.receivedAt, news.receivedAt);
  const unchanged =
    registers === known.registers && receivedAt === known.receivedAt;
  return unchanged
    ? known
    : { transactionId: known.transactionId, registers, receivedAt };
}

/**
 * An outcome replaces PENDING, however late the PENDING comes. The finality covers all fields of the event
 * and not only the status: a late PENDING must not take back the outcome's description or amounts either.
 */
function authorizationFrom(event: AuthorizationReported): Authorization {
  const finality = event.fields.transactionStatus === "PENDING" ? 0 : 1;
  const clock = { ...clockOf(event, event.happenedAt), finality };
  const registers = registersOf<
    AuthorizationRegisterFields & { lastEvent: true }
  >(event.fields, clock);
  registers.lastEvent = { value: true, clock };
  return {
    transactionId: event.transactionId,
    registers,
    receivedAt: event.receivedAt,
  };
}
