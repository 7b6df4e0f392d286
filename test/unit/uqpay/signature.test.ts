import { describe, expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { sign, verifySignature } from "../../../src/uqpay/signature.ts";
import { signedHeaders } from "../../support/fixtures.ts";

interface Vector {
  name: string;
  secret: string;
  timestamp: string;
  body: string;
  body_base64: string;
  body_bytes: number;
  valid_signature: string;
  must_be_rejected: Record<string, string>;
}

const { vectors } = JSON.parse(
  readFileSync(
    new URL("../../fixtures/signature-vectors.json", import.meta.url),
    "utf8",
  ),
) as { vectors: Vector[] };

const secret = "whsec_test_secret";
const rawBody = Buffer.from('{"event_id":"evt_123"}');
const nowMs = 1_776_000_000_000;
const rules = { secrets: [secret], toleranceSeconds: 300 };

/** A delivery that was signed at this header's time. */
function signedAt(timestamp: string) {
  return { rawBody, timestamp, signature: sign(rawBody, timestamp, secret) };
}

describe("the published way to sign", () => {
  test.each(vectors)("$name: body and signature are whole", (vector) => {
    const body = Buffer.from(vector.body_base64, "base64");

    expect(body.length).toBe(vector.body_bytes);
    expect(body.toString("utf8")).toBe(vector.body);
    expect(sign(body, vector.timestamp, vector.secret)).toBe(
      vector.valid_signature,
    );
  });

  test.each(vectors)("$name: the right signature is valid", (vector) => {
    const delivery = {
      rawBody: Buffer.from(vector.body_base64, "base64"),
      signature: vector.valid_signature,
      timestamp: vector.timestamp,
    };
    const signedAtMs = Number(vector.timestamp.padEnd(13, "0"));

    const verification = verifySignature(
      delivery,
      { secrets: [vector.secret], toleranceSeconds: 300 },
      signedAtMs,
    );

    expect(verification).toEqual({ kind: "valid", signedAtMs, secret: 1 });
  });

  test.each(
    vectors.flatMap((vector) =>
      Object.entries(vector.must_be_rejected).map(
        ([variant, signature]) =>
          [vector.name, variant, vector, signature] as const,
      ),
    ),
  )("%s: %s is invalid", (_name, _variant, vector, signature) => {
    const delivery = {
      rawBody: Buffer.from(vector.body_base64, "base64"),
      signature,
      timestamp: vector.timestamp,
    };

    const verification = verifySignature(
      delivery,
      { secrets: [vector.secret], toleranceSeconds: 300 },
      Number(vector.timestamp.padEnd(13, "0")),
    );

    expect(verification).toEqual({ kind: "invalid" });
  });

  test("each vector rejects six ways that were documented wrongly", () => {
    for (const vector of vectors)
      expect(Object.keys(vector.must_be_rejected)).toHaveLength(6);
  });

  test("bytes beyond ASCII and a secret beyond ASCII are taken as UTF-8", () => {
    // Made with: printf '%s%s' BODY TIMESTAMP | openssl dgst -sha512 -hmac SECRET
    const body = '{"event_id":"évt_卡","data":{"amount":1.10,"other":1e2}}';

    const signature = sign(body, "1776000000000", "whsec_钥匙_é");

    expect(signature).toBe(
      "8ed851cbdbddda96ada258824b91f2878d5f88b5cea6d270ecde6b07293bc49b62ffa6acb0a19f5323f0325dd5d7ef1be638e50d5904079e6c69d0336733fc0a",
    );
  });
});

describe("a signature's form", () => {
  test("upper-case hex is the same signature", () => {
    const delivery = signedAt(String(nowMs));
    const shouted = {
      ...delivery,
      signature: delivery.signature.toUpperCase(),
    };

    expect(verifySignature(shouted, rules, nowMs).kind).toBe("valid");
  });

  test.each([
    ["one digit short", (hex: string) => hex.slice(1)],
    ["one digit long", (hex: string) => `${hex}0`],
    [
      "with another digit at its end",
      (hex: string) => hex.slice(0, -1) + (hex.endsWith("0") ? "1" : "0"),
    ],
    ["with a letter that is no digit", (hex: string) => `g${hex.slice(1)}`],
    ["with white space around it", (hex: string) => ` ${hex} `],
    ["with a line's end after it", (hex: string) => `${hex}\n`],
    ["with its algorithm before it", (hex: string) => `sha512=${hex}`],
    ["of 250,000 digits", () => "0".repeat(250_000)],
  ])("a signature %s is invalid", (_what, change) => {
    const delivery = signedAt(String(nowMs));

    const changed = { ...delivery, signature: change(delivery.signature) };

    expect(verifySignature(changed, rules, nowMs)).toEqual({ kind: "invalid" });
  });

  test.each([
    ["no signature", { signature: undefined }],
    ["an empty signature", { signature: "" }],
    ["no timestamp", { timestamp: undefined }],
    ["an empty timestamp", { timestamp: "" }],
  ])("%s is missing, not invalid", (_what, absent) => {
    const delivery = { ...signedAt(String(nowMs)), ...absent };

    expect(verifySignature(delivery, rules, nowMs)).toEqual({
      kind: "missing",
    });
  });

  test("another secret's signature is invalid", () => {
    const delivery = signedAt(String(nowMs));
    const others = { ...rules, secrets: ["whsec_another"] };

    expect(verifySignature(delivery, others, nowMs).kind).toBe("invalid");
  });

  test("without any secret everything is invalid", () => {
    const delivery = signedAt(String(nowMs));
    const none = { ...rules, secrets: [] };

    expect(verifySignature(delivery, none, nowMs).kind).toBe("invalid");
  });

  test.each([
    ["first", 1, ["whsec_test_secret", "whsec_next"]],
    ["last", 3, ["whsec_previous", "whsec_next", "whsec_test_secret"]],
  ])(
    "while a secret is rotated, the %s of several may have signed, and is told by its place",
    (_which, secret, secrets) => {
      const delivery = signedAt(String(nowMs));

      const verification = verifySignature(
        delivery,
        { ...rules, secrets },
        nowMs,
      );

      expect(verification).toEqual({
        kind: "valid",
        signedAtMs: nowMs,
        secret,
      });
    },
  );

  test("an empty body can be signed", () => {
    const body = Buffer.alloc(0);
    const headers = signedHeaders(body, { secret, atMs: nowMs });

    const verification = verifySignature(
      {
        rawBody: body,
        signature: headers["x-wk-signature"],
        timestamp: headers["x-wk-timestamp"],
      },
      rules,
      nowMs,
    );

    expect(verification.kind).toBe("valid");
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])(
    "with %d digits of the timestamp moved to the body's end the delivery is not taken for fresh",
    (moved) => {
      // The two are signed without a separator, so the MAC of the shifted pair is still right.
      const timestamp = "1776000000000";
      const signature = sign(rawBody, timestamp, secret);

      const verification = verifySignature(
        {
          rawBody: Buffer.concat([
            rawBody,
            Buffer.from(timestamp.slice(0, moved)),
          ]),
          timestamp: timestamp.slice(moved),
          signature,
        },
        rules,
        nowMs,
      );

      expect(verification.kind).toBe("stale");
    },
  );
});

describe("the age of a delivery", () => {
  test.each([
    ["at the very moment", 0, "valid"],
    ["300 s ago", -300_000, "valid"],
    ["300.001 s ago", -300_001, "stale"],
    ["300 s ahead", 300_000, "valid"],
    ["300.001 s ahead", 300_001, "stale"],
    ["an hour ago", -3_600_000, "stale"],
  ])("signed %s in milliseconds", (_when, offsetMs, kind) => {
    const signedAtMs = nowMs + offsetMs;

    const verification = verifySignature(
      signedAt(String(signedAtMs)),
      rules,
      nowMs,
    );

    expect(verification).toEqual({ kind, signedAtMs, secret: 1 });
  });

  test.each([
    ["300 s ago", -300, "valid"],
    ["301 s ago", -301, "stale"],
    ["300 s ahead", 300, "valid"],
    ["301 s ahead", 301, "stale"],
  ])("signed %s in seconds", (_when, offset, kind) => {
    const seconds = nowMs / 1000 + offset;

    const verification = verifySignature(
      signedAt(String(seconds)),
      rules,
      nowMs,
    );

    expect(verification).toEqual({
      kind,
      signedAtMs: seconds * 1000,
      secret: 1,
    });
  });

  test("another tolerance is another boundary", () => {
    const delivery = signedAt(String(nowMs - 900_000));

    const within = verifySignature(
      delivery,
      { ...rules, toleranceSeconds: 900 },
      nowMs,
    );
    const beyond = verifySignature(
      delivery,
      { ...rules, toleranceSeconds: 899 },
      nowMs,
    );

    expect([within.kind, beyond.kind]).toEqual(["valid", "stale"]);
  });

  test("an old delivery with a wrong signature is invalid and not stale", () => {
    const old = signedAt(String(nowMs - 3_600_000));
    const forged = { ...old, rawBody: Buffer.from("{}") };

    expect(verifySignature(forged, rules, nowMs)).toEqual({ kind: "invalid" });
  });

  test("a delivery whose timestamp was renewed by someone else is invalid", () => {
    const old = signedAt(String(nowMs - 3_600_000));
    const renewed = { ...old, timestamp: String(nowMs) };

    expect(verifySignature(renewed, rules, nowMs).kind).toBe("invalid");
  });

  test("from 1,000,000,000,000 on a timestamp counts milliseconds, below it seconds", () => {
    const milliseconds = verifySignature(
      signedAt("1000000000000"),
      rules,
      nowMs,
    );
    const seconds = verifySignature(signedAt("253402300799"), rules, nowMs);

    expect(milliseconds).toEqual({
      kind: "stale",
      signedAtMs: 1_000_000_000_000,
      secret: 1,
    });
    expect(seconds).toEqual({
      kind: "stale",
      signedAtMs: 253_402_300_799_000,
      secret: 1,
    });
  });

  test.each([
    "now",
    "-1776000000",
    "1776000000.5",
    "1.776e9",
    "0x69dbcb80",
    "1776000000 ",
    "١٧٧٦٠٠٠٠٠٠",
    "1776000000000000",
    "253402300800",
    "253402300800000",
    "999999999999999",
    "9".repeat(5_000),
  ])("the authentic timestamp %j is no time, so stale", (timestamp) => {
    expect(verifySignature(signedAt(timestamp), rules, nowMs)).toEqual({
      kind: "stale",
      signedAtMs: undefined,
      secret: 1,
    });
  });
});
