import type { Card, Merchant, Order, Transaction } from "./cards.ts";
import { SimulatorError, toCents } from "./cards.ts";
import type { Ledger } from "./ledger.ts";
import { feeData, movedData, transactionData } from "./payloads.ts";
import type { Amount, Purchase } from "./world.ts";

/* What moves the money of a card. */

/** UQPAY's own words, as far as any are known (spending-controls guide, API reference). */
const APPROVED = "1000 - Authorization Approval";
const FORBIDDEN_MCC = "Forbid MCC from account";

export function moveFunds(
  ledger: Ledger,
  cardId: string,
  type: "recharge" | "withdraw",
  amount: Amount,
): Order {
  const before = ledger.find(cardId);
  const cents = toCents(amount);
  const isIn = type === "recharge";
  if (before.mode !== "SINGLE" || before.status !== "ACTIVE")
    throw new SimulatorError(
      `only an ACTIVE card with money of its own has a ${type}`,
    );
  if (!isIn && cents > before.balance)
    throw new SimulatorError("the card has less than that");
  const balance = before.balance + (isIn ? cents : -cents);
  const card = ledger.save({ ...before, balance });
  const order = ledger.place(
    card,
    isIn ? "CARD_RECHARGE" : "CARD_WITHDRAW",
    cents,
  );
  ledger.announce({
    eventType: `card.${type}.succeeded`,
    sourceId: order.id,
    data: movedData(card, order),
  });
  return order;
}

export function spend(
  ledger: Ledger,
  cardId: string,
  purchase: Purchase,
): Transaction {
  const card = ledger.find(cardId);
  const amount = toCents(purchase.amount ?? 10);
  const fee = toCents(purchase.fee ?? 0);
  const merchant: Merchant = {
    mcc: purchase.mcc ?? "5734",
    name: purchase.merchant ?? "Test Merchant",
    city: "Singapore",
    country: "SG",
  };
  const refusal = refusalOf(card, amount + fee, merchant.mcc);
  const isApproved = refusal === undefined;
  const code = String(ledger.random.between(100_000, 999_999));
  const billing = isApproved ? amount + fee : 0;
  return book(ledger, card, "issuing.transaction.authorization", -billing, {
    type: "AUTHORIZATION",
    status: isApproved ? "APPROVED" : "DECLINED",
    description: refusal ?? APPROVED,
    authorizationCode: isApproved ? code : "",
    amount,
    fee,
    billing,
    merchant,
  });
}

/** @returns undefined where the card may pay */
function refusalOf(card: Card, cents: number, mcc: string): string | undefined {
  if (card.status !== "ACTIVE") return `Card is ${card.status.toLowerCase()}`;
  const { allowedMcc, blockedMcc } = card;
  if (allowedMcc !== undefined && !allowedMcc.includes(mcc))
    return FORBIDDEN_MCC;
  if (blockedMcc?.includes(mcc) === true) return FORBIDDEN_MCC;
  if (cents > card.perTransaction) return "Exceeds transaction amount limit";
  return cents > card.balance ? "Insufficient balance" : undefined;
}

export function chargeFee(
  ledger: Ledger,
  cardId: string,
  amount: Amount,
  remark: string,
): Transaction {
  const cents = toCents(amount);
  const facts = { type: "FEE", amount: cents, description: remark };
  return book(ledger, ledger.find(cardId), "issuing.fee.card", -cents, facts);
}

/** Gives back what was authorized, or a part of it. */
export function giveBack(
  ledger: Ledger,
  transactionId: string,
  kind: "reversal" | "refund",
  amount: Amount | undefined,
): Transaction {
  const original = findApproved(ledger, transactionId);
  const cents = amount === undefined ? original.billing : toCents(amount);
  return follow(ledger, original, kind, cents, cents);
}

/** For less than was authorized it is a credit, else a debit (transaction page); the balance moves by the difference. */
export function settle(
  ledger: Ledger,
  transactionId: string,
  amount: Amount | undefined,
): Transaction {
  const original = findApproved(ledger, transactionId);
  const cents = amount === undefined ? original.billing : toCents(amount);
  const moves = original.billing - cents;
  const kind = moves > 0 ? "settlement.credit" : "settlement.debit";
  return follow(ledger, original, kind, cents, moves);
}

function findApproved(ledger: Ledger, transactionId: string): Transaction {
  const found = ledger.transaction(transactionId);
  if (found?.type !== "AUTHORIZATION" || found.status !== "APPROVED")
    throw new SimulatorError("there is no approved authorization of that id");
  return found;
}

function follow(
  ledger: Ledger,
  { id, cardId, merchant }: Transaction,
  kind: string,
  cents: number,
  moves: number,
): Transaction {
  const eventType = `issuing.transaction.${kind}`;
  return book(ledger, ledger.find(cardId), eventType, moves, {
    type: kind.replace(".", " ").toUpperCase(),
    amount: cents,
    originalId: id,
    merchant,
  });
}

/** Books a transaction, and moves the balance with it. */
function book(
  ledger: Ledger,
  before: Card,
  eventType: string,
  moves: number,
  facts: Pick<Transaction, "type" | "amount"> & Partial<Transaction>,
): Transaction {
  const balance = before.balance + moves;
  const consumed = before.consumed - moves;
  const card =
    moves === 0 ? before : ledger.save({ ...before, balance, consumed });
  const transaction: Transaction = {
    id: ledger.random.uuid(),
    cardId: card.id,
    holderId: card.holder.id,
    cardNumber: card.number,
    status: "APPROVED",
    description: "",
    originalId: undefined,
    billing: facts.amount,
    currency: card.currency,
    fee: 0,
    authorizationCode: "",
    merchant: undefined,
    balanceAfter: card.balance,
    atMs: ledger.nowMs(),
    ...facts,
  };
  ledger.book(transaction);
  const isFee = eventType === "issuing.fee.card";
  ledger.announce({
    eventType,
    sourceId: transaction.id,
    data: isFee ? feeData(transaction) : transactionData(transaction),
  });
  return transaction;
}
