import { readExample, withField } from "../../src/operate/send-event.ts";
import type { EventJson } from "../../src/operate/send-event.ts";

/** One delivery of the demo, the answer that it must get, and what it must change. */
export interface DemoDelivery {
  readonly title: string;
  readonly body: string;
  /** When it is signed, by the sender's clock. */
  readonly signedAtMs: number;
  /** Signed with another secret, as somebody would who does not know ours. */
  readonly isForged?: boolean;
  readonly answer: string;
  /** As `describeChange` writes them. */
  readonly changes: readonly string[];
  /** Why it changes nothing, or less than it says. */
  readonly because?: string;
}

export const CARD = "f5d1e60a-6852-4fea-bb09-1d5bdab657a0";
export const OTHER_CARD = "3974bad1-247b-4939-8965-3223182fba1f";

/** What the story tells, in its order, one step of the clock apart. */
const STEPS = [
  "created",
  "frozen",
  "frozen again",
  "unfrozen",
  "limited",
  "blocked",
  "declined by account",
  "declined by card",
  "cancel requested",
  "cancelled",
  "late freeze",
  "forged",
  "malformed",
  "other frozen",
  "other seen active",
] as const;

type Step = (typeof STEPS)[number];

/** Small enough that the whole story is younger than the signature's tolerance. */
const STEP_MS = 10_000;

/** The story ends now. */
export function startOfStory(nowMs: number): number {
  return Math.floor(nowMs / 1_000) * 1_000 - STEPS.length * STEP_MS;
}

/** When a step happens and is signed, to the second, as UQPAY writes times. */
export function timeOf(step: Step, startMs: number): number {
  return startMs + STEPS.indexOf(step) * STEP_MS;
}

/**
 * The life of one card, and a moment of another one, told with the example events of UQPAY's guides: the guides show
 * them for several cards.
 */
export async function demoDeliveries(
  startMs: number,
): Promise<readonly DemoDelivery[]> {
  const created = await readExample("card.create.succeeded");
  const status = await readExample("card.status.update.succeeded");
  const updated = await readExample("card.update.succeeded");
  const declined = about(
    CARD,
    "40963608****8664",
    await readExample("issuing.transaction.authorization"),
  );
  const announced = (
    step: Step,
    eventId: string,
    cardStatus: string,
    more: Readonly<Record<string, unknown>> = {},
  ) =>
    changed(about(CARD, "40963608****8664", status), {
      event_id: eventId,
      "data.card_status": cardStatus,
      "data.update_time": new Date(timeOf(step, startMs)).toISOString(),
      ...more,
    });

  const frozen = announced("frozen", "demo-freeze", "FROZEN");
  const unfrozen = announced("unfrozen", "demo-unfreeze", "ACTIVE");
  const limited = changed(updated, {
    event_id: "demo-limit",
    "data.risk_control": { allow_3ds_transactions: "Y" },
  });
  const declinedByCard = changed(declined, {
    event_id: "demo-decline-own-rule",
    source_id: "demo-transaction-2",
    "data.merchant_data": [
      {
        category_code: "6551",
        name: "Wallet Top-up",
        city: "Singapore",
        country: "SG",
      },
    ],
  });
  const seenActive = changed(about(OTHER_CARD, "46119903****1244", updated), {
    event_id: "demo-seen-active",
    "data.risk_control": {},
  });

  const delivery = (
    step: Step,
    title: string,
    event: EventJson,
    expected: Pick<DemoDelivery, "answer" | "changes" | "because">,
  ): DemoDelivery => ({
    title,
    body: JSON.stringify(event),
    signedAtMs: timeOf(step, startMs),
    isForged: step === "forged",
    ...expected,
  });

  return [
    delivery("created", "card created", created, {
      answer: "200 accepted",
      changes: [
        `cards ${CARD} card_status NULL -> ACTIVE`,
        `cards ${CARD} available_balance NULL -> 1000`,
        `cards ${CARD} per_transaction_limit NULL -> 20000`,
        `cards ${CARD} mcc_mode NULL -> none`,
      ],
    }),
    delivery("frozen", "frozen", frozen, {
      answer: "200 accepted",
      changes: [`cards ${CARD} card_status ACTIVE -> FROZEN`],
    }),
    delivery("frozen again", "frozen, delivered again", frozen, {
      answer: "200 duplicate",
      changes: [],
      because: "this event is stored already",
    }),
    delivery("unfrozen", "unfrozen", unfrozen, {
      answer: "200 accepted",
      changes: [`cards ${CARD} card_status FROZEN -> ACTIVE`],
    }),
    delivery("limited", "spending limit 500", limited, {
      answer: "200 accepted",
      changes: [
        `cards ${CARD} card_limit NULL -> 1000`,
        `cards ${CARD} per_transaction_limit 20000 -> 500`,
      ],
    }),
    delivery("blocked", "MCC 6551 and 5533 blocked", updated, {
      answer: "200 accepted",
      changes: [
        `cards ${CARD} mcc_mode none -> block`,
        `cards ${CARD} blocked_mcc {} -> {6551,5533}`,
      ],
    }),
    delivery("declined by account", "declined: MCC 5999", declined, {
      answer: "200 accepted",
      changes: [
        "authorizations 07560ca4-5905-416f-a969-157094667d66 transaction_status NULL -> DECLINED",
        "authorizations 07560ca4-5905-416f-a969-157094667d66 mcc NULL -> 5999",
        "authorizations 07560ca4-5905-416f-a969-157094667d66 decline_category NULL -> mcc",
      ],
    }),
    delivery("declined by card", "declined: MCC 6551", declinedByCard, {
      answer: "200 accepted",
      changes: [
        "authorizations demo-transaction-2 transaction_status NULL -> DECLINED",
        "authorizations demo-transaction-2 mcc NULL -> 6551",
        "authorizations demo-transaction-2 decline_category NULL -> mcc",
      ],
    }),
    delivery(
      "cancel requested",
      "cancel requested",
      announced("cancel requested", "demo-cancel-requested", "PRE_CANCEL"),
      {
        answer: "200 accepted",
        changes: [`cards ${CARD} card_status ACTIVE -> PRE_CANCEL`],
      },
    ),
    delivery(
      "cancelled",
      "cancelled",
      announced("cancelled", "demo-cancelled", "CANCELLED", {
        "data.update_reason": "demo over",
      }),
      {
        answer: "200 accepted",
        changes: [
          `cards ${CARD} card_status PRE_CANCEL -> CANCELLED`,
          `cards ${CARD} status_reason NULL -> demo over`,
        ],
      },
    ),
    delivery(
      "late freeze",
      "an earlier freeze, which comes too late",
      announced("late freeze", "demo-late-freeze", "FROZEN", {
        "data.update_time": new Date(timeOf("limited", startMs)).toISOString(),
      }),
      {
        answer: "200 accepted",
        changes: [],
        because: "the card is cancelled, which is final",
      },
    ),
    delivery(
      "forged",
      "forged: unfrozen",
      changed(unfrozen, { event_id: "demo-forged" }),
      {
        answer: "401 invalid_signature",
        changes: [],
        because: "it is signed with another secret",
      },
    ),
    delivery(
      "malformed",
      "malformed: no status",
      changed(frozen, { event_id: "demo-malformed", "data.card_status": null }),
      {
        answer: "422 invalid_payload",
        changes: ["quarantined_events 1 event_id NULL -> demo-malformed"],
      },
    ),
    delivery("other frozen", "another card frozen", status, {
      answer: "200 accepted",
      changes: [`cards ${OTHER_CARD} card_status NULL -> FROZEN`],
    }),
    delivery(
      "other seen active",
      "seen active in passing: an announcement is late",
      seenActive,
      {
        answer: "200 accepted",
        changes: [
          `cards ${OTHER_CARD} status_contradicted false -> true`,
          `cards ${OTHER_CARD} card_limit NULL -> 1000`,
          `cards ${OTHER_CARD} available_balance NULL -> 1000`,
          `cards ${OTHER_CARD} per_transaction_limit NULL -> 500`,
          `cards ${OTHER_CARD} mcc_mode NULL -> none`,
        ],
        because: "card_status stays: only an announcement changes it",
      },
    ),
  ];
}

function about(
  cardId: string,
  cardNumber: string,
  event: EventJson,
): EventJson {
  return changed(event, {
    "data.card_id": cardId,
    "data.card_number": cardNumber,
  });
}

function changed(
  event: EventJson,
  changes: Readonly<Record<string, unknown>>,
): EventJson {
  return Object.entries(changes).reduce(
    (edited, [path, value]) => withField(edited, path, value),
    event,
  );
}
