import { describe, expect, test } from "@jest/globals";
import { judgeDecline } from "../../../src/domain/mcc-decline.ts";

describe("the text of a decline", () => {
  test.each([
    // The five texts that UQPAY's pages show, as a decline would bear them.
    ["Forbid MCC from account", "mcc"],
    ["1107 - Invalid CVV2", "cvv"],
    ["1000 - Authorization Approval", "other"],
    ["3DS Fee", "other"],
    ["", "other"],
    [undefined, "other"],
    // Likely relatives: the vocabulary is open.
    ["Forbid mcc from card", "mcc"],
    ["MCC", "mcc"],
    ["MCC:5999 is not allowed", "mcc"],
    ["(Mcc) blocked", "mcc"],
    ["Merchant category not allowed", "mcc"],
    ["MERCHANT  CATEGORY code blocked", "mcc"],
    ["merchant\ncategory", "mcc"],
    ["MCC limit exceeded", "mcc"],
    ["MCC_BLOCKED", "mcc"],
    ["BLOCKED-MCC", "mcc"],
    ["scoped_card_mcc_not_allowed", "mcc"],
    ["mccBlocked", "mcc"],
    ["MCCBlocked", "mcc"],
    ["InvalidMcc", "mcc"],
    ["cardMCCNotAllowed", "mcc"],
    ["MCC5999", "mcc"],
    ["5999MCC", "mcc"],
    ["MCC_5999_NOT_ALLOWED", "mcc"],
    ["MCC#5999", "mcc"],
    ["MCCs not permitted", "mcc"],
    ["MCCsNotPermitted", "mcc"],
    ["MCC受限", "mcc"],
    ["ＭＣＣ５９９９", "mcc"],
    ["MERCHANT_CATEGORY_NOT_ALLOWED", "mcc"],
    ["merchantCategoryCode blocked", "mcc"],
    ["merchant-category blocked", "mcc"],
    ["Merchant categories are restricted", "mcc"],
    ["category code 5999 is not allowed", "mcc"],
    ["McCafe", "other"],
    ["MCCAFE", "other"],
    ["Merchant blocked", "other"],
    ["McCormick & Co", "other"],
    ["XMCC", "other"],
    ["Merchant categorisation", "other"],
    ["submerchant category", "other"],
    ["Invalid CVC", "cvv"],
    ["wrong cvv", "cvv"],
    ["Security code mismatch", "cvv"],
    ["INVALID_CVV2", "cvv"],
    ["cvv2Mismatch", "cvv"],
    ["CVC_CHECK_FAILED", "cvv"],
    ["card_verification_failed", "cvv"],
    ["Insufficient funds", "balance"],
    ["INSUFFICIENT_FUNDS", "balance"],
    ["insufficientBalance", "balance"],
    ["NO_FUNDS", "balance"],
    ["Fund collection is not supported", "other"],
    ["Refund refused", "other"],
    ["Not enough money", "balance"],
    ["Exceeds available balance", "balance"],
    ["Exceeds per-transaction limit", "limit"],
    ["Amount exceeded", "limit"],
    ["Over the daily limits", "limit"],
    ["LIMIT_EXCEEDED", "limit"],
    ["dailyLimitExceeded", "limit"],
    ["PER_TRANSACTION_LIMIT", "limit"],
    ["Card is frozen", "card_status"],
    ["CARD_FROZEN", "card_status"],
    ["CARD_IS_BLOCKED", "card_status"],
    ["cardNotActive", "card_status"],
    ["CARD_NOT_YET_ACTIVATED", "card_status"],
    ["card_status_invalid", "card_status"],
    ["InvalidCardStatus", "card_status"],
    ["Your card has been temporarily blocked.", "card_status"],
    ["Card: expired", "card_status"],
    ["Card ****1234 blocked", "card_status"],
    ["Card ending in 1234 is suspended", "card_status"],
    ["lost/stolen card", "card_status"],
    ["LOST_CARD", "card_status"],
    ["Declined, blocked card", "card_status"],
    ["card account closed", "card_status"],
    ["Store closed", "other"],
    ["Store closed, card declined", "other"],
    ["Store closed. Card declined", "other"],
    ["MERCHANT_BLOCKED", "other"],
    ["Merchant blocked by card issuer", "other"],
    ["Card used at a blocked merchant", "other"],
    ["blocked card acceptor", "other"],
    ["Card holder is suspended", "other"],
    ["cardholder blocked", "other"],
    ["Card country blocked", "other"],
    ["card transaction cancelled", "other"],
    ["Terminal suspended", "other"],
    ["3DS session expired", "other"],
    ["Transaction cancelled by the customer", "other"],
    ["Account closed", "other"],
    ["Connection lost", "other"],
    ["Expired", "other"],
    ["discard blocked", "other"],
    ["Card cancelled", "card_status"],
    ["Card canceled", "card_status"],
    ["Card not active", "card_status"],
    ["Invalid card status", "card_status"],
    ["Lost card", "card_status"],
    ["Expired card", "card_status"],
    ["Unlimited", "other"],
    ["Do not honor", "other"],
  ])("%j is of category %s", (description, category) => {
    expect(
      judgeDecline({ transaction_status: "DECLINED", description }),
    ).toEqual({
      category,
      mccDeclined: category === "mcc",
    });
  });

  test.each([
    "APPROVED",
    "PENDING",
    "REVERSED",
    "SOMETHING_NEW",
    "",
    undefined,
  ])(
    "of a transaction that is %j is no decline, whatever it says",
    (status) => {
      expect(
        judgeDecline({
          transaction_status: status,
          description: "Forbid MCC from account",
        }),
      ).toEqual({
        category: undefined,
        mccDeclined: false,
      });
    },
  );

  test.each([
    ["white space", `merchant${" ".repeat(250_000)}`],
    ["the first word", "merchant ".repeat(27_000)],
    ["half words", "MC ".repeat(80_000)],
    ["exceeding", "excee".repeat(50_000)],
    ["capitals", "M".repeat(250_000)],
    ["both cases", "mM".repeat(125_000)],
    ["letters and digits", "m1".repeat(125_000)],
    ["cards", "card is ".repeat(31_000)],
    ["states", "not yet ".repeat(31_000)],
    ["digits", "card 1 ".repeat(35_000)],
    ["punctuation", ".,;".repeat(80_000)],
  ])("of 250 KB of %s is judged within 200 ms", (_what, description) => {
    const before = process.cpuUsage();
    const { category } = judgeDecline({
      transaction_status: "DECLINED",
      description,
    });
    const { user } = process.cpuUsage(before);

    expect(category).toBe("other");
    expect(user / 1_000).toBeLessThan(200);
  });
});
