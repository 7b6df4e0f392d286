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
    ["Merchant blocked", "card_status"],
    ["McCormick & Co", "other"],
    ["XMCC", "other"],
    ["Merchant categorisation", "other"],
    ["submerchant category", "other"],
    ["Invalid CVC", "cvv"],
    ["wrong cvv", "cvv"],
    ["Security code mismatch", "cvv"],
    ["Insufficient funds", "balance"],
    ["Not enough money", "balance"],
    ["Exceeds available balance", "balance"],
    ["Exceeds per-transaction limit", "limit"],
    ["Amount exceeded", "limit"],
    ["Over the daily limits", "limit"],
    ["Card is frozen", "card_status"],
    ["Card cancelled", "card_status"],
    ["Card canceled", "card_status"],
    ["Card not active", "card_status"],
    ["Invalid card status", "card_status"],
    ["Lost card", "card_status"],
    ["Expired card", "card_status"],
    ["Unlimited", "other"],
    ["Do not honor", "other"],
  ])("%j is of category %s", (description, category) => {
    expect(judgeDecline("DECLINED", description)).toEqual({
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
      expect(judgeDecline(status, "Forbid MCC from account")).toEqual({
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
  ])("of 250 KB of %s is judged within 200 ms", (_what, description) => {
    const before = process.cpuUsage();
    const { category } = judgeDecline("DECLINED", description);
    const { user } = process.cpuUsage(before);

    expect(category).toBe("other");
    expect(user / 1_000).toBeLessThan(200);
  });
});
