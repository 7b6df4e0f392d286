/** What the driver gives for the columns that the demo shows. */
export type Cell = string | number | boolean | Date | readonly string[] | null;

export interface ExpectedTable {
  readonly name: string;
  readonly columns: readonly string[];
  readonly orderBy: string;
  /** As text, in the form in which they are shown. */
  readonly rows: readonly (readonly string[])[];
}

const CARD = "f5d1e60a-6852-4fea-bb09-1d5bdab657a0";

/** What the demo's deliveries must lead to, whatever order they are applied in. */
export const EXPECTED_TABLES: readonly ExpectedTable[] = [
  {
    name: "cards",
    columns: [
      "card_id",
      "card_number",
      "card_status",
      "status_reason",
      "cancel_requested_at",
      "cancelled_at",
    ],
    orderBy: "card_id",
    rows: [
      [
        CARD,
        "40963608****8664",
        "CANCELLED",
        "demo over",
        "2026-04-13T01:00:00.000Z",
        "2026-05-13T01:00:00.000Z",
      ],
    ],
  },
  {
    name: "cards",
    columns: [
      "card_scheme",
      "mode_type",
      "card_limit",
      "per_transaction_limit",
      "mcc_mode",
      "blocked_mcc",
      "observed_status",
    ],
    orderBy: "card_id",
    rows: [["VISA", "SHARE", "1000", "500", "block", "6551 5533", "ACTIVE"]],
  },
  {
    name: "authorizations",
    columns: [
      "transaction_id",
      "transaction_status",
      "description",
      "transaction_amount",
      "transaction_currency",
      "mcc",
      "decline_category",
    ],
    orderBy: "transaction_id",
    rows: [
      [
        "07560ca4-5905-416f-a969-157094667d66",
        "DECLINED",
        "Forbid MCC from account",
        "3",
        "SGD",
        "5999",
        "mcc",
      ],
      [
        "demo-transaction-2",
        "DECLINED",
        "Forbid MCC from account",
        "3",
        "SGD",
        "6551",
        "mcc",
      ],
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
      [
        "07560ca4-5905-416f-a969-157094667d66",
        "5999",
        "ACQUIRER NAME",
        "6551 5533",
        "account",
      ],
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
