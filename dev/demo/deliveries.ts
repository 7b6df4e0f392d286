import { readExample, withField } from "../../src/operate/send-event.ts";
import type { EventJson } from "../../src/operate/send-event.ts";

/** One delivery of the demo, the answer that it must get, and what it must change. */
export interface DemoDelivery {
  readonly title: string;
  readonly body: string;
  /** When it is signed, by the sender's clock. */
  readonly signedAtMs: number;
  /** Signed with another secret than ours. */
  readonly isForged?: boolean;
  readonly answer: string;
  /** As `describeChange` writes them. */
  readonly changes: readonly string[];
  /** Why it changes nothing, or less than it says. */
  readonly because?: string;
}

export const CARD = "f5d1e60a-6852-4fea-bb09-1d5bdab657a0";
export const OTHER_CARD = "3974bad1-247b-4939-8965-3223182fba1f";
export const NUMBER = "40963608****8664";
export const OTHER_NUMBER = "46119903****1244";
export const DECLINE = "07560ca4-5905-416f-a969-157094667d66";

/** When the card is cancelled, in seconds after the start of the story. */
export const CANCEL_REQUESTED = 80;
export const CANCELLED = 90;

/** The story begins so long ago, within the tolerance of the signature. */
const STORY_SECONDS = 150;

export function startOfStory(nowMs: number): number {
  return Math.floor(nowMs / 1_000) * 1_000 - STORY_SECONDS * 1_000;
}

/** So many seconds after its start, as UQPAY writes times. */
export function timeOf(second: number, startMs: number): string {
  return new Date(startMs + second * 1_000).toISOString();
}

/**
 * The life of one card, and a moment of another one, told with the example events of UQPAY's guides: the guides show
 * them for several cards.
 */
export async function demoDeliveries(
  startMs: number,
): Promise<readonly DemoDelivery[]> {
  const created = await readExample("card.create.succeeded");
  const otherFrozen = await readExample("card.status.update.succeeded");
  const updated = await readExample("card.update.succeeded");
  const announced = (second: number, id: string, cardStatus: string) =>
    changed(otherFrozen, {
      event_id: id,
      "data.card_id": CARD,
      "data.card_number": NUMBER,
      "data.card_status": cardStatus,
      "data.update_time": timeOf(second, startMs),
    });
  const declined = changed(
    await readExample("issuing.transaction.authorization"),
    { "data.card_id": CARD, "data.card_number": NUMBER },
  );
  const frozen = announced(10, "demo-freeze", "FROZEN");
  const unfrozen = announced(30, "demo-unfreeze", "ACTIVE");

  const delivery = (
    second: number,
    title: string,
    event: EventJson,
    expected: Partial<DemoDelivery> = {},
  ): DemoDelivery => ({
    title,
    body: JSON.stringify(event),
    signedAtMs: startMs + second * 1_000,
    answer: "200 accepted",
    changes: [],
    ...expected,
  });

  return [
    delivery(0, "card created", created, {
      changes: [
        `cards ${CARD} card_status NULL -> ACTIVE`,
        `cards ${CARD} available_balance NULL -> 1000`,
        `cards ${CARD} per_transaction_limit NULL -> 20000`,
        `cards ${CARD} mcc_mode NULL -> none`,
      ],
    }),
    delivery(10, "frozen", frozen, {
      changes: [`cards ${CARD} card_status ACTIVE -> FROZEN`],
    }),
    delivery(20, "frozen, delivered again", frozen, {
      answer: "200 duplicate",
      because: "this event is stored already",
    }),
    delivery(30, "unfrozen", unfrozen, {
      changes: [`cards ${CARD} card_status FROZEN -> ACTIVE`],
    }),
    delivery(
      40,
      "spending limit 500",
      changed(updated, {
        event_id: "demo-limit",
        "data.risk_control": { allow_3ds_transactions: "Y" },
      }),
      {
        changes: [
          `cards ${CARD} card_limit NULL -> 1000`,
          `cards ${CARD} per_transaction_limit 20000 -> 500`,
        ],
      },
    ),
    delivery(50, "MCC 6551 and 5533 blocked", updated, {
      changes: [
        `cards ${CARD} mcc_mode none -> block`,
        `cards ${CARD} blocked_mcc {} -> {6551,5533}`,
      ],
    }),
    delivery(60, "declined: MCC 5999", declined, {
      changes: [
        `authorizations ${DECLINE} transaction_status NULL -> DECLINED`,
        `authorizations ${DECLINE} mcc NULL -> 5999`,
        `authorizations ${DECLINE} decline_category NULL -> mcc`,
      ],
    }),
    delivery(
      70,
      "declined: MCC 6551",
      changed(declined, {
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
      }),
      {
        changes: [
          "authorizations demo-transaction-2 transaction_status NULL -> DECLINED",
          "authorizations demo-transaction-2 mcc NULL -> 6551",
          "authorizations demo-transaction-2 decline_category NULL -> mcc",
        ],
      },
    ),
    delivery(
      CANCEL_REQUESTED,
      "cancel requested",
      announced(CANCEL_REQUESTED, "demo-cancel-requested", "PRE_CANCEL"),
      { changes: [`cards ${CARD} card_status ACTIVE -> PRE_CANCEL`] },
    ),
    delivery(
      CANCELLED,
      "cancelled",
      changed(announced(CANCELLED, "demo-cancelled", "CANCELLED"), {
        "data.update_reason": "demo over",
      }),
      {
        changes: [
          `cards ${CARD} card_status PRE_CANCEL -> CANCELLED`,
          `cards ${CARD} status_reason NULL -> demo over`,
        ],
      },
    ),
    delivery(
      100,
      "an earlier freeze, which comes too late",
      announced(40, "demo-late-freeze", "FROZEN"),
      { because: "the card is cancelled, which is final" },
    ),
    delivery(
      110,
      "forged: unfrozen",
      changed(unfrozen, { event_id: "demo-forged" }),
      {
        isForged: true,
        answer: "401 invalid_signature",
        because: "it is signed with another secret",
      },
    ),
    delivery(
      120,
      "malformed: no status",
      changed(frozen, { event_id: "demo-malformed", "data.card_status": null }),
      {
        answer: "422 invalid_payload",
        changes: ["quarantined_events 1 event_id NULL -> demo-malformed"],
      },
    ),
    delivery(130, "another card frozen", otherFrozen, {
      changes: [`cards ${OTHER_CARD} card_status NULL -> FROZEN`],
    }),
    delivery(
      140,
      "seen active in passing: an announcement is late",
      changed(updated, {
        event_id: "demo-seen-active",
        "data.card_id": OTHER_CARD,
        "data.card_number": OTHER_NUMBER,
        "data.risk_control": {},
      }),
      {
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

function changed(
  event: EventJson,
  changes: Readonly<Record<string, unknown>>,
): EventJson {
  return Object.entries(changes).reduce(
    (edited, [path, value]) => withField(edited, path, value),
    event,
  );
}
