import { CARD, OTHER_CARD, timeOf } from "./deliveries.ts";

/** What the driver gives for the columns that the demo shows. */
export type Cell = string | number | boolean | Date | readonly string[] | null;

export interface ExpectedTable {
  readonly name: string;
  readonly columns: readonly string[];
  readonly orderBy: string;
  /** As text, in the form in which they are shown. */
  readonly rows: readonly (readonly string[])[];
}

/** What the demo's deliveries must lead to, whatever order they are applied in. */
export function expectedTables(startMs: number): readonly ExpectedTable[] {
  const at = (step: Parameters<typeof timeOf>[0]) =>
    new Date(timeOf(step, startMs)).toISOString();
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
        [
          CARD,
          "CANCELLED",
          "demo over",
          at("cancel requested"),
          at("cancelled"),
        ],
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
        ["46119903****1244", "1000", "500", "none", "", "ACTIVE", "true"],
        [
          "40963608****8664",
          "1000",
          "500",
          "block",
          "6551 5533",
          "ACTIVE",
          "false",
        ],
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
        [
          "07560ca4-5905-416f-a969-157094667d66",
          "DECLINED",
          "Forbid MCC from account",
          "3",
          "SGD",
        ],
        [
          "demo-transaction-2",
          "DECLINED",
          "Forbid MCC from account",
          "3",
          "SGD",
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
}
