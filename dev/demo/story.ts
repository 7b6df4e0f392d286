import { type EventJson, readExample } from "../../src/operate/send-event.ts";
import type { Rows } from "./rows.ts";

/** One delivery of the demo, the answer that it must get, and what it must change. */
export interface Delivery {
  readonly title: string;
  readonly event: EventJson;
  /** Default: `200 accepted`. */
  readonly answer?: string;
  /** The cells that get a new value. Default: none. */
  readonly changes?: Rows;
  /** Why it changes nothing, or less than it says. */
  readonly because?: string;
  /** Signed with another secret than ours. */
  readonly isForged?: boolean;
}

/** Between two deliveries, by the sender's clock. */
export const STEP_MS = 10_000;

export const CARD = "f5d1e60a-6852-4fea-bb09-1d5bdab657a0";
const OTHER_CARD = "3974bad1-247b-4939-8965-3223182fba1f";
const DECLINE = "07560ca4-5905-416f-a969-157094667d66";
const OWN_DECLINE = "demo-transaction-2";

const OURS = { card_id: CARD, card_number: "40963608****8664" };
const OTHERS = { card_id: OTHER_CARD, card_number: "46119903****1244" };
const ours = (cells: Rows[string]) => ({ [`cards ${CARD}`]: cells });
const others = (cells: Rows[string]) => ({ [`cards ${OTHER_CARD}`]: cells });

/** The rows of a declined transaction of our card. */
const aDecline = (id: string, mcc: string, merchant: string, rule: string) => {
  const why = { mcc, merchant_name: merchant, rule_scope: rule };
  return {
    [`authorizations ${id}`]: {
      transaction_status: "DECLINED",
      description: "Forbid MCC from account",
    },
    [`mcc_declines ${id}`]: { ...why, blocked_mcc: "{6551,5533}" },
  };
};

/**
 * The life of one card, and a moment of another one, told with the example events of UQPAY's guides: the guides show
 * them for several cards.
 */
export async function tellStory(startMs: number): Promise<Delivery[]> {
  const told = await prepareEvents(startMs);
  return [...lifeOfCard(told), ...comesToNothing(told), ...otherCard(told)];
}

type StoryEvents = Awaited<ReturnType<typeof prepareEvents>>;

async function prepareEvents(startMs: number) {
  const created = await readExample("card.create.succeeded");
  const updated = await readExample("card.update.succeeded");
  const otherFrozen = await readExample("card.status.update.succeeded");
  const authorization = await readExample("issuing.transaction.authorization");
  const timeOf = (step: number) => new Date(startMs + step * STEP_MS);
  const announced = (step: number, id: string, status: string, data = {}) =>
    edit(otherFrozen, `demo-${id}`, {
      ...OURS,
      card_status: status,
      update_time: timeOf(step).toISOString(),
      ...data,
    });
  const frozen = announced(1, "freeze", "FROZEN");
  const unfrozen = announced(3, "unfreeze", "ACTIVE");
  const declined = edit(authorization, authorization["event_id"], OURS);
  return {
    created,
    updated,
    otherFrozen,
    frozen,
    unfrozen,
    declined,
    announced,
    timeOf,
  };
}

function lifeOfCard(told: StoryEvents): Delivery[] {
  const { created, updated, frozen, unfrozen, declined, announced, timeOf } =
    told;
  return [
    {
      title: "card created",
      event: created,
      changes: ours({
        card_status: "ACTIVE",
        status_contradicted: "false",
        per_transaction_limit: "20000",
        mcc_mode: "none",
        blocked_mcc: "{}",
      }),
    },
    {
      title: "frozen",
      event: frozen,
      changes: ours({ card_status: "FROZEN" }),
    },
    {
      title: "frozen, delivered again",
      event: frozen,
      answer: "200 duplicate",
      because: "this event is stored already",
    },
    {
      title: "unfrozen",
      event: unfrozen,
      changes: ours({ card_status: "ACTIVE" }),
    },
    {
      title: "spending limit 500",
      event: edit(updated, "demo-limit", {
        risk_control: { allow_3ds_transactions: "Y" },
      }),
      changes: ours({ card_limit: "1000", per_transaction_limit: "500" }),
    },
    {
      title: "MCC 6551 and 5533 blocked",
      event: updated,
      changes: ours({ mcc_mode: "block", blocked_mcc: "{6551,5533}" }),
    },
    {
      title: "declined: MCC 5999, by a rule of the account",
      event: declined,
      changes: aDecline(DECLINE, "5999", "ACQUIRER NAME", "account"),
    },
    {
      title: "declined: MCC 6551, by the card's own rule",
      event: {
        ...edit(declined, "demo-decline-own-rule", {
          merchant_data: [{ category_code: "6551", name: "Wallet Top-up" }],
        }),
        source_id: OWN_DECLINE,
      },
      changes: aDecline(OWN_DECLINE, "6551", "Wallet Top-up", "card"),
    },
    {
      title: "cancel requested",
      event: announced(8, "cancel-requested", "PRE_CANCEL"),
      changes: ours({
        card_status: "PRE_CANCEL",
        cancel_requested_at: inPostgres(timeOf(8)),
      }),
    },
    {
      title: "cancelled",
      event: announced(9, "cancelled", "CANCELLED", {
        update_reason: "demo over",
      }),
      changes: ours({
        card_status: "CANCELLED",
        status_reason: "demo over",
        cancelled_at: inPostgres(timeOf(9)),
      }),
    },
  ];
}

function comesToNothing({
  frozen,
  unfrozen,
  announced,
}: StoryEvents): Delivery[] {
  return [
    {
      title: "an earlier freeze, which comes too late",
      event: announced(4, "late-freeze", "FROZEN"),
      because: "the card is cancelled, which is final",
    },
    {
      title: "forged: unfrozen",
      event: { ...unfrozen, event_id: "demo-forged" },
      isForged: true,
      answer: "401 invalid_signature",
      because: "it is signed with another secret",
    },
    {
      title: "malformed: no status",
      event: edit(frozen, "demo-malformed", { card_status: null }),
      answer: "422 invalid_payload",
      changes: {
        "quarantined_events 1": {
          reason: "invalid_payload",
          event_id: "demo-malformed",
          deliveries: "1",
        },
      },
    },
  ];
}

function otherCard({ otherFrozen, updated }: StoryEvents): Delivery[] {
  return [
    {
      title: "another card frozen",
      event: otherFrozen,
      changes: others({ card_status: "FROZEN", status_contradicted: "false" }),
    },
    {
      title: "seen active in passing: an announcement is late",
      event: edit(updated, "demo-seen-active", { ...OTHERS, risk_control: {} }),
      changes: others({
        status_contradicted: "true",
        card_limit: "1000",
        per_transaction_limit: "500",
        mcc_mode: "none",
        blocked_mcc: "{}",
      }),
      because: "card_status stays: only an announcement changes it",
    },
  ];
}

/** The event under another id, with some fields of its data replaced. */
function edit(event: EventJson, id: unknown, changes: EventJson): EventJson {
  const data = { ...(event["data"] as EventJson), ...changes };
  return { ...event, event_id: id, data };
}

/** A whole second as PostgreSQL writes it in UTC. */
function inPostgres(time: Date): string {
  return time.toISOString().replace("T", " ").replace(".000Z", "+00");
}
