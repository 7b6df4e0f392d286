import type { Random } from "../../dev/simulator/random.ts";
import { randomFrom } from "../../dev/simulator/random.ts";

export type Data = Readonly<Record<string, unknown>>;

/** An event as the sender knows it. */
export interface SentEvent {
  readonly id: string;
  readonly type: string;
  readonly sourceId: string;
  readonly data: Data;
  /** The exact text of every delivery. */
  readonly body: string;
  /** False: of a type that the service stores and ignores. */
  readonly isHandled: boolean;
  /** The timestamp header has seconds instead of milliseconds, so that signing times tie. */
  readonly signsInSeconds: boolean;
}

/** Long before any run, so that only times that are wrong on purpose lie after the signing. */
const EPOCH_MS = Date.parse("2025-06-01T00:00:00Z");
const EVENTS_PER_SECOND_OF_STORY = 10;
/** An event is about one of so many cards; the window moves on, so that cards begin and end. */
const CARDS_AT_A_TIME = 12;
const EVENTS_PER_CARD = 40;
/** So many events have a card to themselves: of the others a lost one may be overruled by later news, unseen. */
const LONE_CARDS = 0.5;
const FIRST_LONE_CARD = 1_000_000;

/** The texts of declines, by what the operator should read in them. */
export const DECLINE_TEXTS: Readonly<Record<string, readonly string[]>> = {
  mcc: ["Forbid MCC from account", "merchant category not allowed"],
  cvv: ["CVV2 mismatch"],
  balance: ["Insufficient funds"],
  limit: ["exceeds the transaction limit"],
  card_status: ["card is frozen"],
  other: ["Do not honour"],
};

/** The event of that number: always the same one for the same seed. */
export function eventAt(seed: number, index: number): SentEvent {
  const random = randomFrom(seed, `event ${String(index)}`);
  const card = random.chance(LONE_CARDS)
    ? FIRST_LONE_CARD + index
    : Math.floor(index / EVENTS_PER_CARD) + random.between(0, CARDS_AT_A_TIME);
  const kind = random.next();
  const { type, data, sourceId } =
    kind < 0.36
      ? statusUpdate(seed, index, card, random)
      : kind < 0.6
        ? cardUpdate(seed, card, random)
        : kind < 0.64
          ? cardCreate(seed, card, random)
          : kind < 0.67
            ? activation(seed, card)
            : kind < 0.93
              ? authorization(seed, index, card, random)
              : unhandled(seed, card, random);
  const id = eventId(random);
  const body = JSON.stringify({
    version: "V1.6.0",
    event_name: "ISSUING",
    event_type: type,
    event_id: id,
    source_id: sourceId ?? random.uuid(),
    data,
  });
  return {
    id,
    type,
    sourceId: sourceId ?? "",
    data,
    body,
    isHandled: kind < 0.93,
    signsInSeconds: random.chance(0.1),
  };
}

interface Content {
  readonly type: string;
  readonly data: Data;
  readonly sourceId?: string;
}

/** Ids are opaque: some begin with characters that JavaScript and PostgreSQL's collations order differently. */
function eventId(random: Random): string {
  const uuid = random.uuid();
  if (!random.chance(0.05)) return uuid;
  return random.pick(["\u{1F600}", "\uFFFD", "é", "Z", "_"]) + uuid;
}

function statusUpdate(
  seed: number,
  index: number,
  card: number,
  random: Random,
): Content {
  const fate = random.next();
  const status =
    fate < 0.015
      ? "CANCELLED"
      : fate < 0.04
        ? "PRE_CANCEL"
        : random.pick([
            "ACTIVE",
            "FROZEN",
            "BLOCKED",
            "SUSPENDED",
            "UNDER_REVIEW",
          ]);
  return {
    type: "card.status.update.succeeded",
    data: {
      card_id: cardId(seed, card),
      card_number: cardNumber(card),
      card_status: status,
      update_time: random.chance(0.03)
        ? "2098-01-01T00:00:00+08:00"
        : storyTime(index, random, 0),
      ...(random.chance(0.7) && {
        update_reason: `reason ${String(index)}`,
      }),
      ...(random.chance(0.3) && { available_balance: amount(random) }),
    },
  };
}

function cardUpdate(seed: number, card: number, random: Random): Content {
  return {
    type: "card.update.succeeded",
    data: {
      card_id: cardId(seed, card),
      card_number: cardNumber(card),
      card_status: random.pick(["ACTIVE", "ACTIVE", "FROZEN", "BLOCKED"]),
      card_scheme: "VISA",
      mode_type: "SHARE",
      form_factor: "VIRTUAL",
      available_balance: amount(random),
      ...(random.chance(0.6) && { card_limit: amount(random) }),
      ...(random.chance(0.6) && {
        spending_controls: [
          { amount: amount(random), interval: "PER_TRANSACTION" },
        ],
      }),
      ...(random.chance(0.6) && { risk_control: riskControl(random) }),
      ...(random.chance(0.3) && {
        no_pin_payment_amount: `${amount(random)}USD`,
      }),
      ...(random.chance(0.3) && {
        metadata: { note: `n${String(random.between(0, 99))}` },
      }),
      cardholder: {
        cardholder_id: `holder ${String(card)} ${String(random.between(0, 2))}`,
      },
    },
  };
}

function riskControl(random: Random): Data {
  const mccs = ["5999", "6551", "0742"].filter(() => random.chance(0.6));
  return {
    allow_3ds_transactions: random.pick(["Y", "N"]),
    ...(random.chance(0.8) && {
      [random.pick(["allowed_mcc", "blocked_mcc"])]: mccs,
    }),
  };
}

function cardCreate(seed: number, card: number, random: Random): Content {
  return {
    type: "card.create.succeeded",
    data: {
      card_id: cardId(seed, card),
      card_number: cardNumber(card),
      card_status: random.pick(["PENDING", "ACTIVE"]),
      card_available_balance: amount(random),
      spending_limits: [{ amount: amount(random), interval: "MONTHLY" }],
    },
  };
}

function activation(seed: number, card: number): Content {
  return {
    type: "card.activation.status",
    data: {
      card_id: cardId(seed, card),
      activation_status: "Activated",
      card_number: cardNumber(card),
    },
  };
}

function authorization(
  seed: number,
  index: number,
  card: number,
  random: Random,
): Content {
  const transactionId = randomFrom(
    seed,
    `transaction ${String(card)} ${String(random.between(0, 5))}`,
  ).uuid();
  const status = random.pick(["PENDING", "APPROVED", "DECLINED"]);
  const description =
    status === "DECLINED"
      ? random.pick(Object.values(DECLINE_TEXTS).flat())
      : random.pick([undefined, "3DS Fee", "MCC checked"]);
  return {
    type: "issuing.transaction.authorization",
    sourceId: transactionId,
    data: {
      ...(random.chance(0.7) && { transaction_id: transactionId }),
      card_id: cardId(seed, card),
      transaction_status: status,
      ...(description !== undefined && { description }),
      transaction_type: "AUTHORIZATION",
      transaction_amount: amount(random),
      transaction_currency: random.pick(["SGD", "USD"]),
      ...(random.chance(0.5) && {
        billing_amount: amount(random),
        billing_currency: "USD",
      }),
      ...(random.chance(0.5) && { card_available_balance: amount(random) }),
      ...(random.chance(0.7) && {
        merchant_data: [
          { category_code: random.pick(["5999", "0742"]), name: "SHOP" },
        ],
      }),
      ...(random.chance(0.8) && {
        transaction_time: storyTime(
          index,
          random,
          random.pick([0, 480, 480_000]),
        ),
      }),
      ...(random.chance(0.3) && { posted_time: storyTime(index, random, 0) }),
    },
  };
}

function unhandled(seed: number, card: number, random: Random): Content {
  return {
    type: random.pick(["card.activated", "card.3ds.otp", "future.event.added"]),
    data: { card_id: cardId(seed, card), otp: "12345678" },
  };
}

/** Whole seconds, so that they tie; a little out of the order in which the events are sent. */
function storyTime(index: number, random: Random, plusMs: number): string {
  const seconds =
    Math.floor(index / EVENTS_PER_SECOND_OF_STORY) + random.between(-3, 3);
  const ms = EPOCH_MS + seconds * 1000 + (plusMs % 1000);
  const local = new Date(ms + 8 * 3_600_000).toISOString().slice(0, -1);
  return `${plusMs === 0 ? local.slice(0, 19) : local}+08:00`;
}

function amount(random: Random): string {
  return `${String(random.between(0, 9999))}${random.pick(["", ".5", ".10"])}`;
}

function cardId(seed: number, card: number): string {
  return randomFrom(seed, `card ${String(card)}`).uuid();
}

function cardNumber(card: number): string {
  return `40963608****${String(card % 10_000).padStart(4, "0")}`;
}
