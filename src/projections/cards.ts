import type { CardEvent, Facts } from "../domain/card-event.ts";
import { ownTimeOf } from "../domain/card-event.ts";
import { clockOf } from "../domain/clock.ts";
import type { Json } from "../domain/json.ts";
import { textOf } from "../domain/json.ts";
import type { Registers } from "../domain/registers.ts";
import { statedAt } from "../domain/registers.ts";
import type { EventEnvelope, Projection } from "./projection.ts";
import {
  bookkeeping,
  derived,
  earliest,
  key,
  latest,
  latestTime,
  required,
} from "./projection.ts";

/** What all events so far say of each card. */
export const cards: Projection = {
  table: "cards",
  subject: "card",
  columns: {
    card_id: key("text"),
    card_number: latest("text"),
    card_bin: latest("text"),
    card_scheme: latest("text"),
    card_product_id: latest("text"),
    cardholder_id: latest("text"),
    card_currency: latest("text"),
    mode_type: latest("text"),
    form_factor: latest("text"),
    card_status: latest("text"),
    status_reason: latest("text"),
    status_changed_at: derived("timestamptz", timeOf("card_status")),
    observed_status: latest("text"),
    observed_status_at: derived("timestamptz", timeOf("observed_status")),
    status_contradicted: derived("boolean", isContradicted),
    card_limit: latest("numeric"),
    elevated_limit: latest("numeric"),
    elevated_limit_until: latest("timestamptz"),
    available_balance: latest("numeric"),
    balance_as_of: derived("timestamptz", timeOf("available_balance")),
    per_transaction_limit: derived("numeric", perTransactionLimit),
    spending_controls: latest("jsonb"),
    mcc_mode: derived("text", mccMode),
    allowed_mcc: latest("text[]"),
    blocked_mcc: latest("text[]"),
    risk_control: latest("jsonb"),
    no_pin_payment_amount: latest("numeric"),
    pin_blocked_at: latestTime(),
    network_protection: latest("jsonb"),
    metadata: latest("jsonb"),
    controls_updated_at: derived("timestamptz", controlsUpdatedAt),
    cancel_requested_at: earliest("clock"),
    cancelled_at: derived("timestamptz", cancelledAt),
    first_seen_at: bookkeeping(required(earliest("clock"))),
    last_event_id: bookkeeping(required(latest("text"))),
    last_event_at: bookkeeping(derived("timestamptz", timeOf("last_event_id"))),
  },
  statementsIn: (event) =>
    isOfCard(event)
      ? [{ key: [event.cardId], registers: registersIn(event) }]
      : [],
  statementsOfEnvelope: (event) =>
    event.cardId === undefined
      ? []
      : [{ key: [event.cardId], registers: firstSeenIn(event) }],
};

function firstSeenIn(event: EventEnvelope): Registers {
  return statedAt(clockOf(event), { first_seen_at: event.signedAt });
}

type EventOfCard = Extract<CardEvent, { readonly facts: Facts }> & {
  readonly cardId: string;
};

function isOfCard(event: CardEvent): event is EventOfCard {
  return "facts" in event && event.cardId !== undefined;
}

function registersIn(event: EventOfCard): Registers {
  const clock = clockOf(event, ownTimeOf(event));
  return {
    ...statedAt(clock, { last_event_id: event.eventId, ...event.facts }),
    ...balanceIn(event),
    ...firstSeenIn(event),
    ...statusIn(event),
    ...(event.kind === "pin-blocked" &&
      statedAt(clock, { pin_blocked_at: clock.at })),
  };
}

/** A transaction's time is when the card was used; its balance is that of when UQPAY booked it, which may be much later. */
function balanceIn(event: CardEvent): Registers {
  if (event.kind !== "transaction-reported") return {};
  return statedAt(clockOf(event, event.bookedAt), {
    available_balance: event.transaction["card_available_balance"],
  });
}

/** An announced status outranks one that a snapshot shows in passing, and brings its reason, or that it has none. */
function statusIn(event: EventOfCard): Registers {
  if (!("status" in event)) return {};
  const { status } = event;
  if (status === undefined) return {};
  const clock = clockOf(event, ownTimeOf(event));
  const isAnnounced = event.kind === "status-announced";
  return {
    ...statedAt(
      {
        ...clock,
        finality: statusFinality(status),
        authority: isAnnounced ? 1 : 0,
      },
      {
        card_status: status,
        status_reason: (isAnnounced ? event.reason : undefined) ?? null,
      },
    ),
    ...statedAt(clock, {
      observed_status: isAnnounced ? undefined : status,
      cancel_requested_at: status === "PRE_CANCEL" ? clock.at : undefined,
    }),
  };
}

/**
 * CANCELLED and FAILED are final for UQPAY and PRE_CANCEL leads only to CANCELLED (card lifecycle guide), so
 * whatever is less final is older news, however late it comes. An unknown status is treated as ordinary.
 */
export function statusFinality(status: string): number {
  switch (status) {
    case "CANCELLED":
    case "FAILED":
      return 2;
    case "PRE_CANCEL":
      return 1;
    default:
      return 0;
  }
}

function timeOf(column: string) {
  return (registers: Registers) => registers[column]?.clock.at;
}

/** A snapshot showed another status than the one that stands, and later: an announcement is late or was lost. */
function isContradicted({
  card_status: stands,
  observed_status: seen,
}: Registers): boolean {
  return (
    stands !== undefined &&
    seen !== undefined &&
    seen.value !== stands.value &&
    seen.clock.at > stands.clock.at
  );
}

function cancelledAt({ card_status: status }: Registers) {
  return status?.value === "CANCELLED" ? status.clock.at : undefined;
}

function perTransactionLimit({ spending_controls: controls }: Registers) {
  const list = (controls?.value ?? []) as readonly Readonly<
    Record<string, Json>
  >[];
  return list.find(
    ({ interval }) => textOf(interval).toUpperCase() === "PER_TRANSACTION",
  )?.["amount"];
}

/** Which of the two lists decides; `none`: both are known to be empty. */
function mccMode({ allowed_mcc: allowed, blocked_mcc: blocked }: Registers) {
  if (allowed === undefined || blocked === undefined) return undefined;
  if ((allowed.value as readonly string[]).length > 0) return "allow";
  return (blocked.value as readonly string[]).length > 0 ? "block" : "none";
}

/** When the card's own spending rules were last set: the later of the two kinds of rules. */
function controlsUpdatedAt({
  spending_controls: limits,
  risk_control: rules,
}: Registers) {
  const times = [limits, rules].flatMap((one) => one?.clock.at ?? []);
  return times.toSorted().at(-1);
}
