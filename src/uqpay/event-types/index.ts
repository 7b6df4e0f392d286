import type { EventType } from "./event-type.ts";
import { cardActivation } from "./card-activation.ts";
import { cardCreateFailed } from "./card-create-failed.ts";
import { cardElevateLimit } from "./card-elevate-limit.ts";
import {
  networkProtectionEnrolled,
  networkProtectionRemoved,
} from "./card-network-protection.ts";
import { failedOrders } from "./card-order-failed.ts";
import { cardPinBlock } from "./card-pin-block.ts";
import { cardRecharge, cardWithdraw } from "./card-recharge.ts";
import { cardStatusUpdate } from "./card-status-update.ts";
import { cardCreate, cardUpdate } from "./card-update.ts";
import { cardholderStatus, cardholderUpdate } from "./cardholder.ts";
import {
  isTransactionType,
  otherTransaction,
  transactions,
} from "./transaction.ts";

/**
 * The event types that have a handler; all others are stored and ignored, but for those of transactions that are not
 * known yet. To add one: a file here with its schema and its translation, and a line in this list.
 */
const eventTypes: readonly EventType[] = [
  cardStatusUpdate,
  cardUpdate,
  cardCreate,
  cardCreateFailed,
  cardActivation,
  cardRecharge,
  cardWithdraw,
  cardElevateLimit,
  cardPinBlock,
  networkProtectionEnrolled,
  networkProtectionRemoved,
  ...failedOrders,
  cardholderStatus,
  cardholderUpdate,
  ...transactions,
];

const typesByName = new Map(eventTypes.map((type) => [type.name, type]));

export const handledEventTypes: readonly string[] = eventTypes.map(
  ({ name }) => name,
);

/** What never refuses an event of these types, by its path in the delivered JSON. */
export const optionalFields: readonly string[] = [
  ...new Set(
    [...eventTypes, otherTransaction].flatMap((type) => type.optionalFields),
  ),
];

export function hasHandler(name: string): boolean {
  return findEventType(name) !== undefined;
}

/** Whether events of a type say nothing of the card that they may name. */
export function leavesCardAlone(name: string): boolean {
  return findEventType(name)?.leavesCardAlone === true;
}

/** Whether text that cannot be read seems to be an event that tells of a person. */
export function mayBePersonal(text: string): boolean {
  return eventTypes.some(
    ({ isPersonal, name }) => isPersonal === true && text.includes(name),
  );
}

/** @returns undefined for an event type that has no handler */
export function findEventType(name: string): EventType | undefined {
  const type = typesByName.get(name);
  if (type !== undefined) return type;
  return isTransactionType(name) ? otherTransaction : undefined;
}
