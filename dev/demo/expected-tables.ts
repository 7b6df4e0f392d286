import {
  CANCEL_REQUESTED,
  CANCELLED,
  CARD,
  DECLINE,
  NUMBER,
  OTHER_CARD,
  OTHER_NUMBER,
  timeOf,
} from "./deliveries.ts";

export interface ExpectedTable {
  readonly name: string;
  readonly columns: readonly string[];
  readonly orderBy: string;
  /** As text, in the form in which they are shown. */
  readonly rows: readonly (readonly string[])[];
}

const REASON = "Forbid MCC from account";

/** What the demo's deliveries must lead to, whatever order they are applied in. */
export function expectedTables(startMs: number): readonly ExpectedTable[] {
  const requestedAt = timeOf(CANCEL_REQUESTED, startMs);
  const cancelledAt = timeOf(CANCELLED, startMs);
  return [
    {
      name: "cards",
      columns: [
        "card_id",
        "card_status",
        "status_reason",
        "cancel_requested_at",
        "cancelled_at",
      ],
      orderBy: "card_id",
      rows: [
        [OTHER_CARD, "FROZEN", "", "", ""],
        [CARD, "CANCELLED", "demo over", requestedAt, cancelledAt],
      ],
    },
    {
      name: "cards",
      columns: [
        "card_number",
        "card_limit",
        "per_transaction_limit",
        "mcc_mode",
        "blocked_mcc",
        "observed_status",
        "status_contradicted",
      ],
      orderBy: "card_id",
      rows: [
        [OTHER_NUMBER, "1000", "500", "none", "", "ACTIVE", "true"],
        [NUMBER, "1000", "500", "block", "6551 5533", "ACTIVE", "false"],
      ],
    },
    {
      name: "authorizations",
      columns: [
        "transaction_id",
        "transaction_status",
        "description",
        "transaction_amount",
        "transaction_currency",
      ],
      orderBy: "transaction_id",
      rows: [
        [DECLINE, "DECLINED", REASON, "3", "SGD"],
        ["demo-transaction-2", "DECLINED", REASON, "3", "SGD"],
      ],
    },
    {
      name: "mcc_declines",
      columns: [
        "transaction_id",
        "mcc",
        "merchant_name",
        "blocked_mcc",
        "rule_scope",
      ],
      orderBy: "transaction_id",
      rows: [
        [DECLINE, "5999", "ACQUIRER NAME", "6551 5533", "account"],
        ["demo-transaction-2", "6551", "Wallet Top-up", "6551 5533", "card"],
      ],
    },
    {
      name: "quarantined_events",
      columns: ["reason", "event_id", "issues->0->>'path'", "deliveries"],
      orderBy: "id",
      rows: [["invalid_payload", "demo-malformed", "data.card_status", "1"]],
    },
  ];
}
