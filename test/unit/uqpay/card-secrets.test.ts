import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  hasCodeField,
  maskCardNumber,
  mayHoldCardSecret,
  withoutCardSecrets,
} from "../../../src/uqpay/card-secrets.ts";

const NUMBER = "4096360812348664";
const NONE: ReadonlySet<string> = new Set();

describe("a card's number", () => {
  test.each([
    [NUMBER, "409636******8664"],
    ["4096 3608 1234 8664", "409636******8664"],
    ["4096-3608-1234-8664", "409636******8664"],
    ["4096.3608.1234.8664", "409636******8664"],
    [" 4096360812348664 ", "409636******8664"],
    ["409636081234", "409636**1234"],
    ["4096360812348", "409636***2348"],
    ["378282246310005", "378282*****0005"],
    ["4096360812348664123", "409636*********4123"],
    ["40963608123486641234", "409636**********1234"],
    // Masked, but not enough.
    ["4096360812*48664", "40963608****8664"],
    ["409636081234****", "40963608****" + "****"],
    ["****360812348664", "****3608****8664"],
    ["40963608xxxx18664", "40963608*****8664"],
  ])("in the clear (%s) becomes %s", (text, masked) => {
    expect(maskCardNumber(text, NONE)).toBe(masked);
    expect(maskCardNumber(masked, NONE)).toBe(masked);
  });

  test.each([
    ["four hidden", "46119903****1244"],
    ["all but four hidden", "************5668"],
    ["six shown", "409636******8664"],
    ["groups", "4096 36** **** 8664"],
    ["the letter x", "40963608xxxx8664"],
    ["few marks", "4096**8664"],
    ["no digit", "****************"],
    ["the last four alone", "8664"],
    ["eleven digits", "40963608123"],
    ["a BIN", "40963608"],
    ["a word", "not issued yet"],
    ["nothing", ""],
  ])("that is masked, or is none, stays as it is: %s", (_what, text) => {
    expect(maskCardNumber(text, NONE)).toBe(text);
  });

  test.each([
    ["of sixteen digits", NUMBER, "40963608****8664"],
    ["in groups", "4096 3608 1234 8664", "40963608****8664"],
    ["of nineteen", "4096360812348664123", "40963608*******4123"],
  ])("shows a BIN of eight digits %s", (_what, number, masked) => {
    expect(maskCardNumber(number, new Set(["40963608"]))).toBe(masked);
  });

  test.each([
    ["is another's", NUMBER, "51112222", "409636******8664"],
    ["is shorter", NUMBER, "409636", "409636******8664"],
    [
      "would leave too few to guess",
      "409636081234866",
      "40963608",
      "409636*****4866",
    ],
  ])("shows six digits where the BIN %s", (_what, number, bin, masked) => {
    expect(maskCardNumber(number, new Set([bin]))).toBe(masked);
  });

  test("never shows more than its first eight and its last four", () => {
    const aNumber = fc
      .array(fc.nat(9), { minLength: 12, maxLength: 19 })
      .map((digits) => digits.join(""));
    fc.assert(
      fc.property(aNumber, fc.constantFrom("", " ", "-"), (number, between) => {
        const written = number.replace(/.{4}(?=.)/g, `$&${between}`);
        const bins = new Set([number.slice(0, 8)]);

        for (const masked of [
          maskCardNumber(written, NONE),
          maskCardNumber(written, bins),
        ]) {
          expect(masked).toMatch(/^\d{6,8}\*+\d{4}$/);
          expect(masked).toHaveLength(number.length);
          expect(masked.replace(/\D/g, "").length).toBeLessThan(number.length);
        }
      }),
    );
  });
});

describe("JSON", () => {
  test.each([
    [
      "as text",
      `{"card_number":"${NUMBER}"}`,
      '{"card_number":"409636******8664"}',
    ],
    [
      "as a number",
      `{"card_number":${NUMBER}}`,
      '{"card_number":"409636******8664"}',
    ],
    [
      "with its BIN",
      `{"card_number":"${NUMBER}","card_bin":"40963608"}`,
      '{"card_number":"40963608****8664","card_bin":"40963608"}',
    ],
    [
      "behind its BIN",
      `{"card_bin":40963608,"card_number":"${NUMBER}"}`,
      '{"card_bin":40963608,"card_number":"40963608****8664"}',
    ],
    [
      "as its BIN",
      `{"card_bin":"${NUMBER}"}`,
      '{"card_bin":"409636******8664"}',
    ],
    [
      "in camel case",
      `{"cardNumber":"${NUMBER}"}`,
      '{"cardNumber":"409636******8664"}',
    ],
    [
      "under a longer name",
      `{"new_card_number":"${NUMBER}"}`,
      '{"new_card_number":"409636******8664"}',
    ],
    ["as a PAN", `{"pan":"${NUMBER}"}`, '{"pan":"409636******8664"}'],
    [
      "deep inside",
      `[[{"a":{"card_number" : "${NUMBER}" }}]]`,
      '[[{"a":{"card_number" : "409636******8664" }}]]',
    ],
    [
      "in a list",
      `{"card_number":["${NUMBER}",["4096 3608 1234 8664"]]}`,
      '{"card_number":["409636******8664",["409636******8664"]]}',
    ],
    [
      "in an object",
      `{"card_number":{"value":"${NUMBER}"},"b":"${NUMBER}"}`,
      `{"card_number":{"value":"409636******8664"},"b":"${NUMBER}"}`,
    ],
    [
      "twice",
      `{"card_number":"${NUMBER}","card_number":"${NUMBER}"}`,
      '{"card_number":"409636******8664","card_number":"409636******8664"}',
    ],
    [
      "with an escaped name",
      `{"card\\u005fnumber":"${NUMBER}"}`,
      '{"card\\u005fnumber":"409636******8664"}',
    ],
    [
      "with an escaped digit",
      '{"card_number":"40963608****\\u0034096360812348664"}',
      '{"card_number":"40963608****************8664"}',
    ],
    [
      "behind a byte order mark",
      `\ufeff{"card_number":"${NUMBER}"}`,
      '\ufeff{"card_number":"409636******8664"}',
    ],
  ])("loses a card's number that is in the clear %s", (_what, json, safe) => {
    expect(withoutCardSecrets(json)).toBe(safe);
    expect(withoutCardSecrets(safe)).toBe(safe);
  });

  test.each([
    "cvv",
    "CVV2",
    "cvc",
    "cvc2",
    "card_cvv",
    "cardCvv",
    "security_code",
    "securityCode",
    "card-security-code",
    "verification_value",
    "pin",
    "new_pin",
    "pin_block",
    "pinBlock",
    "track2_data",
    "track_1",
    "otp",
    "activation_code",
    "secret_key",
  ])("loses a code under the name %s", (name) => {
    const json = (value: string) =>
      `{"a":1.10,"m":{"${name}":${value},"b":"c"}}`;

    for (const code of ['"123"', "123", '"\\"1"', "1.50"])
      expect(withoutCardSecrets(json(code))).toBe(json("null"));
    expect(withoutCardSecrets(json('["1",{"x":2}]'))).toBe(
      json('[null,{"x":null}]'),
    );
    for (const nothing of ["null", '""', "true", "[]"])
      expect(withoutCardSecrets(json(nothing))).toBe(json(nothing));
    expect(hasCodeField(json("1"))).toBe(true);
  });

  test.each([
    ["an authorization code", '{"authorization_code":"856268"}'],
    ["a category code", '{"category_code":"5999"}'],
    ["a country code", '{"country_code":"SG"}'],
    ["tries of the PIN", '{"pin_retry_count":3,"spin":"1"}'],
    ["tracking", '{"track":"1","tracking_number":"1234567890123456"}'],
    ["long ids", '{"transaction_id":"4096360812348664","id":4096360812348664}'],
    ["long amounts", '{"amount":"12345678901234567890.12"}'],
    ["a word of them as a value", '{"kind":"cvv","field":"card_number"}'],
    ["a masked number", '{"card_number":"40963608****8664"}'],
    ["a masked number in groups", '{"card_number":"4096 36** **** 8664"}'],
    ["no number", '{"card_number":null,"card_bin":""}'],
    ["escapes", '{"a":"\\u003c\\u0000\\ud83d","\\u0063":1}'],
    ["no object", "[]"],
  ])("keeps all else as it was sent: %s", (_what, json) => {
    expect(withoutCardSecrets(json)).toBe(json);
  });

  test("is changed in no other place, whatever it is", () => {
    const noSecret = fc
      .json({ maxDepth: 4 })
      .filter((json) => !hasCodeField(json));
    fc.assert(
      fc.property(noSecret, noSecret, (before, after) => {
        const json = (number: string) =>
          `{"before":${before},"card_number":"${number}","after":[${after},1.10]}`;

        expect(withoutCardSecrets(json(NUMBER))).toBe(json("409636******8664"));
      }),
    );
  });
});

describe("text that is no JSON", () => {
  test.each([
    '{"cvv" : "123"',
    "{'cvv2':'123'}",
    "otp=123456&event_id=1",
    '{"security_code":',
    `{"card_number":"${NUMBER}`,
    `card_number=${NUMBER}&event_id=1`,
    "{cardNumber: 4096 3608 1234 8664",
  ])("is not kept where it seems to hold a secret: %s", (text) => {
    expect(mayHoldCardSecret(text)).toBe(true);
  });

  test.each([
    "",
    "event_id=e1",
    '{"event_id":"4096360812348664"',
    '{"card_number":"40963608****8664"',
    '{"card_id":"3974bad1-247b-4939-8965-3223182fba1f","pin_set":true',
  ])("is kept where it does not: %s", (text) => {
    expect(mayHoldCardSecret(text)).toBe(false);
  });
});
