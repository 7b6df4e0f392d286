export type DeclineCategory =
  "mcc" | "cvv" | "limit" | "balance" | "card_status" | "other";

/** How an authorization's outcome reads. */
export interface DeclineJudgement {
  /** `undefined` when it was not declined. */
  readonly category: DeclineCategory | undefined;
  readonly mccDeclined: boolean;
}

/**
 * UQPAY publishes no list of decline texts and sends no reason code: "Forbid MCC from account" is the only
 * MCC text known (spending-controls guide), so the words are matched and not the sentence.
 */
export const MCC_DECLINE_TEXT = /\bMCC\b|\bmerchant\s+category\b/i;

/** First match wins; what matches none is `other`, counted by a metric so that new vocabulary is seen. */
const DECLINE_TEXTS: readonly (readonly [DeclineCategory, RegExp])[] = [
  ["mcc", MCC_DECLINE_TEXT],
  ["cvv", /\bCV[VC]2?\b|\bsecurity code\b/i],
  ["balance", /\binsufficient\b|\bbalance\b|\bnot enough\b/i],
  ["limit", /\blimits?\b|\bexceed/i],
  [
    "card_status",
    /\bcard status\b|\b(frozen|blocked|cancell?ed|inactive|not active|expired|closed|suspended|lost|stolen)\b/i,
  ],
];

/**
 * Never by the text alone: approved transactions carry remarks too ("3DS Fee").
 * The text does not say whose rule it was; `mcc_declines.rule_scope` answers that from the card's lists.
 */
export function judgeDecline(
  transactionStatus: string | undefined,
  description: string | undefined,
): DeclineJudgement {
  if (transactionStatus !== "DECLINED")
    return { category: undefined, mccDeclined: false };
  const category =
    DECLINE_TEXTS.find(([, text]) => text.test(description ?? ""))?.[0] ??
    "other";
  return { category, mccDeclined: category === "mcc" };
}
