import type { Card, CardStatus, Holder } from "./cards.ts";
import { SimulatorError, toCents } from "./cards.ts";
import type { Ledger } from "./ledger.ts";
import {
  activatedData,
  createdData,
  statusData,
  updatedData,
} from "./payloads.ts";
import type { Random } from "./random.ts";
import type { Controls, NewCard } from "./world.ts";

/* What becomes of a card itself: from its creation to its end. */

const DAY_MS = 86_400_000;
const CANCEL_AFTER_MS = 30 * DAY_MS;
const BIN = "40963608";

export function issueCard(ledger: Ledger, wanted: NewCard): Card {
  const card = ledger.save(newCard(wanted, ledger.random, ledger.nowMs()));
  ledger.announce({
    eventType: "card.create.succeeded",
    sourceId: ledger.place(card, "CREATE_CARD", card.balance).id,
    data: createdData(card),
  });
  return card;
}

export function activateCard(ledger: Ledger, cardId: string): Card {
  const before = ledger.find(cardId);
  if (before.status !== "PENDING")
    throw new SimulatorError(`the card is ${before.status}, not PENDING`);
  const card = ledger.save({ ...before, status: "ACTIVE" });
  ledger.announce({
    eventType: "card.activation.status",
    sourceId: card.id,
    data: activatedData(card),
  });
  return card;
}

/** @param from the states in which that can be asked for */
export function changeStatus(
  ledger: Ledger,
  cardId: string,
  from: readonly CardStatus[],
  status: CardStatus,
  reason: string | undefined,
): Card {
  const before = ledger.find(cardId);
  if (!from.includes(before.status))
    throw new SimulatorError(
      `the card is ${before.status} and cannot become ${status}`,
    );
  const atMs = ledger.nowMs();
  const card = ledger.save({
    ...before,
    status,
    statusReason: reason,
    cancelDueAtMs: status === "PRE_CANCEL" ? atMs + CANCEL_AFTER_MS : undefined,
  });
  ledger.announce({
    eventType: "card.status.update.succeeded",
    sourceId: ledger.place(card, "CARD_UPDATE").id,
    data: statusData(card, atMs),
  });
  return card;
}

export function changeControls(
  ledger: Ledger,
  cardId: string,
  controls: Controls,
): Card {
  const before = ledger.find(cardId);
  if (before.status !== "ACTIVE" && before.status !== "PENDING")
    throw new SimulatorError(`a card that is ${before.status} has no updates`);
  const { allowedMcc, blockedMcc, metadata = before.metadata } = controls;
  const { limit, perTransaction } = controls;
  const namesLists = allowedMcc !== undefined || blockedMcc !== undefined;
  const card = ledger.save({
    ...before,
    ...(limit !== undefined && { limit: toCents(limit) }),
    ...(perTransaction !== undefined && {
      perTransaction: toCents(perTransaction),
    }),
    ...(namesLists && { allowedMcc, blockedMcc }),
    metadata,
  });
  const order = ledger.place(card, "CARD_UPDATE");
  ledger.announce({
    eventType: "card.update.succeeded",
    sourceId: order.id,
    data: updatedData(card, order),
  });
  return card;
}

/** @returns the cards that were to be cancelled, some of which now are */
export function letDaysPass(ledger: Ledger, days: number): readonly Card[] {
  const untilMs = ledger.nowMs() + days * DAY_MS;
  return ledger.cards().flatMap((card) => {
    const { id, cancelDueAtMs, statusReason } = card;
    if (cancelDueAtMs === undefined) return [];
    return cancelDueAtMs <= untilMs
      ? changeStatus(ledger, id, ["PRE_CANCEL"], "CANCELLED", statusReason)
      : ledger.save({ ...card, cancelDueAtMs: cancelDueAtMs - days * DAY_MS });
  });
}

function newCard(wanted: NewCard, random: Random, atMs: number): Card {
  const { mode = "SINGLE", form = "VIRTUAL", metadata = {} } = wanted;
  const balance = toCents(wanted.balance ?? 1_000);
  const lastDigits = String(random.between(0, 9_999)).padStart(4, "0");
  return {
    id: random.uuid(),
    number: `${BIN}****${lastDigits}`,
    bin: BIN,
    productId: "467e993f-317a-49fc-9ea0-bf49de7d1f76",
    holder: newHolder(random, wanted.holderId),
    mode,
    form,
    currency: "USD",
    status: form === "VIRTUAL" ? "ACTIVE" : "PENDING",
    statusReason: undefined,
    limit: mode === "SINGLE" ? 0 : balance,
    balance,
    consumed: 0,
    perTransaction: toCents(wanted.perTransaction ?? 20_000),
    allowedMcc: wanted.allowedMcc,
    blockedMcc: wanted.blockedMcc,
    metadata,
    createdAtMs: atMs,
    cancelDueAtMs: undefined,
  };
}

function newHolder(random: Random, id = random.uuid()): Holder {
  const firstName = random.pick(["Alex", "Corki", "Emily", "Mei", "Tariq"]);
  const lastName = random.pick(["Chen", "Jarvan", "Toy", "Lim", "Okafor"]);
  const email = `${firstName}.${lastName}@example.com`.toLowerCase();
  return { id, firstName, lastName, email };
}
