import type { Facts } from "./card-event.ts";
import { textOf } from "./json.ts";

export type DeclineCategory =
  "mcc" | "cvv" | "limit" | "balance" | "card_status" | "other";

/** How an authorization's outcome reads. */
export interface DeclineJudgement {
  /** `undefined` when it was not declined. */
  readonly category: DeclineCategory | undefined;
  readonly mccDeclined: boolean;
}

/** What is said of a card that cannot be used. */
const STATE =
  "(?:frozen|blocked|cancell?ed|inactive|(?:not(?: yet)?|no longer) (?:active|activated)|expired|closed|suspended|" +
  "lost|stolen|locked|disabled|deactivated|terminated)";

/** What may stand between the card and what is said of it. */
const BETWEEN =
  "(?:is|was|has|been|are|account|number|no|ending|in|with|\\d+|currently|temporarily|permanently|already|now)";

/** Whoever else begins with a card. */
const NOT_THE_CARD =
  "(?! (?:acceptor|holder|issuer|scheme|brand|network|type|present|not present)s?\\b)";

/**
 * UQPAY publishes no list of decline texts and sends no reason code: "Forbid MCC from account" is the only
 * MCC text known (spending-controls guide), so the words are matched and not the sentence.
 *
 * First match wins; what matches none is `other`, counted by a metric so that new vocabulary is seen.
 */
const DECLINE_WORDS: readonly (readonly [DeclineCategory, RegExp])[] = [
  ["mcc", /\bmccs?\b|\bmerchant categor(?:y|ies)\b|\bcategory codes?\b/],
  ["cvv", /\bcv[vcn]\b|\bsecurity code\b|\bcard verification\b/],
  ["balance", /\binsufficient\b|\bbalance\b|\bnot enough\b|\bfunds\b/],
  ["limit", /\blimits?\b|\bexceed/],
  // Merchants, terminals and sessions are closed, blocked and expired, too.
  [
    "card_status",
    new RegExp(
      `\\bcard status\\b|\\bcards? (?:${BETWEEN} ){0,6}${STATE}\\b|\\b${STATE} cards?\\b${NOT_THE_CARD}`,
    ),
  ],
];

/**
 * The words of a text in lower case, one space between two, also where it is a code such as `MCC_BLOCKED`, `mccBlocked`
 * or `MCC5999`. A comma stands where a sentence or a part of one ends.
 */
function wordsOf(text: string): string {
  return (
    text
      .normalize("NFKC")
      .replace(/([a-z])([A-Z])/g, "$1 $2")
      // The last capital begins a word (`MCCBlocked`), unless a plural's s follows (`MCCs`).
      .replace(/([A-Z])([A-Z](?!s(?![a-z]))[a-z])/g, "$1 $2")
      .replace(/([A-Za-z])(?=\d)|(\d)(?=[A-Za-z])/g, "$1$2 ")
      .replace(/[.,;!?()[\]"|]/g, " , ")
      .replace(/[^A-Za-z\d,]+/g, " ")
      .toLowerCase()
  );
}

/**
 * Never by the text alone: approved transactions carry remarks too ("3DS Fee").
 * The text does not say whose rule it was; `mcc_declines.rule_scope` answers that from the card's lists.
 */
export function judgeDecline({
  transaction_status: status,
  description,
}: Facts): DeclineJudgement {
  if (status !== "DECLINED") return { category: undefined, mccDeclined: false };
  const words = wordsOf(textOf(description));
  const category =
    DECLINE_WORDS.find(([, pattern]) => pattern.test(words))?.[0] ?? "other";
  return { category, mccDeclined: category === "mcc" };
}
