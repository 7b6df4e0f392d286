import { readExample, withField } from "../send-event.ts";
import type { EventJson } from "../send-event.ts";

/** One delivery of the demo, and the answer that it must get. */
export interface DemoDelivery {
  readonly title: string;
  readonly body: string;
  /** Signed with another secret, as somebody would who does not know ours. */
  readonly isForged?: boolean;
  readonly expected: string;
}

const CARD = "f5d1e60a-6852-4fea-bb09-1d5bdab657a0";

/**
 * The life of one card, told with the example events of UQPAY's guides: the guides show them for several
 * cards, here they are about one.
 */
export async function demoDeliveries(): Promise<readonly DemoDelivery[]> {
  const created = await readExample("card.create.succeeded");
  const status = about(CARD, await readExample("card.status.update.succeeded"));
  const updated = await readExample("card.update.succeeded");
  const declined = about(
    CARD,
    await readExample("issuing.transaction.authorization"),
  );

  const frozen = changed(status, {
    event_id: "demo-freeze",
    "data.card_status": "FROZEN",
    "data.update_time": "2026-04-12T10:00:00+08:00",
  });
  const active = changed(status, {
    event_id: "demo-unfreeze",
    "data.card_status": "ACTIVE",
    "data.update_time": "2026-04-12T10:05:00+08:00",
  });
  const cancelling = changed(status, {
    event_id: "demo-cancel-requested",
    "data.card_status": "PRE_CANCEL",
    "data.update_time": "2026-04-13T09:00:00+08:00",
  });
  const cancelled = changed(status, {
    event_id: "demo-cancelled",
    "data.card_status": "CANCELLED",
    "data.update_reason": "demo over",
    "data.update_time": "2026-05-13T09:00:00+08:00",
  });
  const refrozen = changed(status, {
    event_id: "demo-late-freeze",
    "data.card_status": "FROZEN",
    "data.update_time": "2026-04-12T18:00:00+08:00",
  });
  const limited = changed(updated, {
    event_id: "demo-limit",
    "data.risk_control": { allow_3ds_transactions: "Y" },
  });
  const ownRule = changed(declined, {
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

  return [
    delivery("card created", created, "200 accepted"),
    delivery("frozen", frozen, "200 accepted"),
    delivery("frozen, delivered again", frozen, "200 duplicate"),
    delivery("unfrozen", active, "200 accepted"),
    delivery("spending limit 500", limited, "200 accepted"),
    delivery("MCC 6551 and 5533 blocked", updated, "200 accepted"),
    delivery("declined: MCC 5999", declined, "200 accepted"),
    delivery("declined: MCC 6551", ownRule, "200 accepted"),
    delivery("cancel requested", cancelling, "200 accepted"),
    delivery("cancelled", cancelled, "200 accepted"),
    delivery("a freeze that comes too late", refrozen, "200 accepted"),
    {
      ...delivery(
        "forged: unfrozen",
        changed(active, { event_id: "demo-forged" }),
        "401 invalid_signature",
      ),
      isForged: true,
    },
    delivery(
      "malformed: no status",
      changed(frozen, { event_id: "demo-malformed", "data.card_status": null }),
      "422 invalid_payload",
    ),
  ];
}

function delivery(
  title: string,
  event: EventJson,
  expected: string,
): DemoDelivery {
  return { title, body: JSON.stringify(event), expected };
}

function about(cardId: string, event: EventJson): EventJson {
  return changed(event, {
    "data.card_id": cardId,
    "data.card_number": "40963608****8664",
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
