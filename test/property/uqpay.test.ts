import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { instantFromEpochMs } from "../../src/domain/instant.ts";
import { PROJECTIONS } from "../../src/projections/index.ts";
import { fold, statementsIn, toRow } from "../../src/projections/rows.ts";
import type { Decoded, Issue } from "../../src/uqpay/decode-event.ts";
import {
  decodeEvent,
  decodeKeptEvent,
  fieldOf,
  unreadableFields,
} from "../../src/uqpay/decode-event.ts";
import {
  findEventType,
  handledEventTypes,
} from "../../src/uqpay/event-types/index.ts";
import * as fields from "../../src/uqpay/fields.ts";
import { numeralOf, parseJsonText } from "../../src/uqpay/parse-json.ts";
import { sign, verifySignature } from "../../src/uqpay/signature.ts";
import { at } from "../support/events.ts";
import { payload, payloadNames } from "../support/fixtures.ts";
import { outcomeOf } from "../support/readings.ts";

const readAmount = outcomeOf(fields.readAmount);
const readInstant = outcomeOf(fields.readInstant);

const times = { signedAt: at("10:00:00"), receivedAt: at("10:00:01") };

describe("a signature", () => {
  const nowMs = 1_776_000_000_000;
  const delivery = fc.record({
    body: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    secret: fc.string({ minLength: 1, unit: "binary" }),
    atMs: fc.integer({ min: nowMs - 300_000, max: nowMs + 300_000 }),
  });
  const rulesOf = (secret: string) => ({
    secrets: ["another", secret],
    toleranceSeconds: 300,
  });

  test("that we made is valid", () => {
    fc.assert(
      fc.property(delivery, ({ body, secret, atMs }) => {
        const timestamp = String(atMs);
        const signature = sign(body, timestamp, secret);

        const verification = verifySignature(
          { rawBody: body, timestamp, signature },
          rulesOf(secret),
          nowMs,
        );

        expect(verification).toEqual({
          kind: "valid",
          signedAtMs: atMs,
          secret: 2,
        });
      }),
    );
  });

  test("fails for any bit that is turned, in body, timestamp or signature", () => {
    fc.assert(
      fc.property(
        delivery,
        fc.constantFrom("body", "timestamp", "signature"),
        fc.nat(),
        fc.nat(7),
        ({ body, secret, atMs }, part, place, bit) => {
          const timestamp = String(atMs);
          const signature = sign(body, timestamp, secret);
          const turn = (bytes: Buffer) => {
            const turned = Buffer.from(bytes);
            const index = place % turned.length;
            turned[index] = (turned[index] ?? 0) ^ (1 << bit);
            return turned;
          };
          fc.pre(part !== "body" || body.length > 0);
          const turned = {
            rawBody: part === "body" ? turn(body) : body,
            timestamp:
              part === "timestamp"
                ? turn(Buffer.from(timestamp)).toString("latin1")
                : timestamp,
            signature:
              part === "signature"
                ? turn(Buffer.from(signature, "hex")).toString("hex")
                : signature,
          };

          expect(verifySignature(turned, rulesOf(secret), nowMs)).toEqual({
            kind: "invalid",
          });
        },
      ),
    );
  });

  test("never makes the verifier throw, whatever the headers hold", () => {
    const header = fc.option(fc.string({ unit: "binary" }), { nil: undefined });
    fc.assert(
      fc.property(
        fc.uint8Array(),
        header,
        header,
        (body, signature, timestamp) => {
          const verification = verifySignature(
            { rawBody: Buffer.from(body), signature, timestamp },
            rulesOf("secret"),
            nowMs,
          );

          expect(["invalid", "missing"]).toContain(verification.kind);
        },
      ),
    );
  });
});

/** What a careless or a hostile sender might put anywhere. */
const aStrangeValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom<unknown>(null, "", {}, []) },
  {
    weight: 4,
    arbitrary: fc.constantFrom<unknown>(
      " ",
      0,
      -1,
      1.5,
      true,
      [[]],
      [null],
      { "": "" },
      "USD",
      "1e400000",
      "a\u0000b",
      "\ud83d",
      "\u{1f4b3}".repeat(300),
      "0001-01-01",
      "2026-02-30T00:00:00Z",
      "9999-12-31T23:59:59.999999999-15:59",
      JSON.parse('{"__proto__":{"card_id":"polluted"}}'),
      JSON.parse(`${"[".repeat(200)}${"]".repeat(200)}`),
    ),
  },
  fc.string({ unit: "binary" }),
  fc.double(),
  fc.jsonValue({ maxDepth: 4 }),
);

/** A published payload in which some values were replaced, removed, wrapped or given twice. */
const aChangedPayload = fc
  .tuple(
    fc.oneof(
      fc.constantFrom(...payloadNames()),
      // Those with the most in them have a handler.
      fc.constantFrom(
        "card.update.succeeded--docs-v1.6-webhook-card-updated",
        "issuing.transaction.authorization--docs-v1.6-webhook-transaction",
      ),
    ),
    fc.array(
      fc.record({
        place: fc.nat(),
        change: fc.constantFrom("replace", "remove", "wrap", "add"),
        value: aStrangeValue,
        name: fc.constantFrom(
          "card_id",
          "risk_controls",
          "spending_limits",
          "metadata",
          "__proto__",
          "otp",
        ),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  )
  .map(([name, changes]) => {
    const event: Record<string, unknown> = { ...payload(name) };
    for (const { place, change, value, name: added } of changes) {
      const places = placesIn(event);
      const [parent, key] = places[place % places.length] ?? [event, "data"];
      if (change === "remove") Reflect.deleteProperty(parent, key);
      else if (change === "wrap") parent[key] = [parent[key]];
      // A copy: a value that is put somewhere may itself be changed next.
      else
        define(parent, change === "add" ? added : key, structuredClone(value));
    }
    return JSON.stringify(event);
  });

/** Then it would be taken for one that stands in the wrong place. */
function isEventType(value: unknown): boolean {
  return typeof value === "string" && value.includes(".");
}

function define(parent: Record<string, unknown>, key: string, value: unknown) {
  Object.defineProperty(parent, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

function placesIn(value: unknown): [Record<string, unknown>, string][] {
  if (typeof value !== "object" || value === null) return [];
  const parent = value as Record<string, unknown>;
  return Object.keys(parent).flatMap((key) => [
    [parent, key] as [Record<string, unknown>, string],
    ...placesIn(parent[key]),
  ]);
}

function isOfOptional(issue: Issue): boolean {
  return (
    issue.message !== "" &&
    /^[a-z]+(?:[._][\w.]+)?$/.test(issue.path) &&
    unreadableFields.includes(fieldOf(issue))
  );
}

const REQUIRED =
  /^(?:event_id|event_type|data(?:\.(?:card_id|card_status|update_time|transaction_status|per_transaction_limit|expires_at|cardholder_id))?)$/;

describe("decoding", () => {
  test("never throws, for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decodeEvent(Buffer.from(bytes), times)).toHaveProperty("kind");
      }),
      { numRuns: 500 },
    );
  });

  test("never throws, for any JSON", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const decoded = decodeEvent(Buffer.from(text), times);

        expect(decoded.kind).not.toBe("not-json");
      }),
      { numRuns: 500 },
    );
  });

  test("never throws, for a payload cut or damaged anywhere", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...payloadNames()),
        fc.nat(),
        fc.option(fc.nat(255), { nil: undefined }),
        (name, place, byte) => {
          const bytes = Buffer.from(JSON.stringify(payload(name)));
          const index = place % bytes.length;
          if (byte !== undefined) bytes[index] = byte;
          const damaged = byte === undefined ? bytes.subarray(0, index) : bytes;

          expect(decodeEvent(damaged, times)).toHaveProperty("kind");
        },
      ),
      { numRuns: 500 },
    );
  });

  test("of a payload changed anywhere ends in one of four ways, and what is known can be stored", () => {
    fc.assert(
      fc.property(aChangedPayload, (text) => {
        const decoded = decodeEvent(Buffer.from(text), times);

        expectStorable(decoded);
        expect(decodeKeptEvent(text, times)).toEqual(decoded);
      }),
      { numRuns: 1_500 },
    );
  });

  test("refuses no event whose required fields are right, whatever the others hold", () => {
    const handled = handledEventTypes.map((type) => findEventType(type));
    const names = handled.flatMap(
      (type) => type?.optionalFields.map((path) => path.split(".")[1]) ?? [],
    );
    const anyOthers = fc.dictionary(
      fc.constantFrom(...names.map(String)),
      aStrangeValue,
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...handledEventTypes),
        anyOthers,
        fc.dictionary(
          fc.constantFrom("event_name", "version", "source_id"),
          aStrangeValue.filter((value) => !isEventType(value)),
        ),
        (eventType, others, outer) => {
          const data = {
            ...others,
            card_id: "card-1",
            card_status: "ACTIVE",
            transaction_status: "DECLINED",
            update_time: "2026-04-12T10:00:00Z",
            per_transaction_limit: "80000",
            expires_at: "2026-05-21T09:30:00Z",
            cardholder_id: "holder-1",
          };
          const text = JSON.stringify({
            ...outer,
            event_id: "event-1",
            event_type: eventType,
            data,
          });

          const decoded = decodeEvent(Buffer.from(text), times);

          expect(decoded.kind).toBe("known");
          expectStorable(decoded);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test("names the place of each issue in what was delivered", () => {
    fc.assert(
      fc.property(aChangedPayload, (text) => {
        const decoded = decodeEvent(Buffer.from(text), times);
        const unreadable = "unreadable" in decoded ? decoded.unreadable : [];
        expect(unreadable.filter((issue) => !isOfOptional(issue))).toEqual([]);
        if (decoded.kind !== "malformed") return;

        // Nothing but what the contract requires refuses an event.
        expect(decoded.issues.length).toBeGreaterThan(0);
        for (const { path, message } of decoded.issues) {
          expect(path).toMatch(REQUIRED);
          expect(message).not.toBe("");
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** What PostgreSQL refuses must be gone by now: a row that cannot be written would stop its whole batch. */
function expectStorable(decoded: Decoded): void {
  if (decoded.kind !== "known") {
    expect(["unhandled", "malformed"]).toContain(decoded.kind);
    return;
  }
  const { event } = decoded;
  const rows = PROJECTIONS.flatMap((projection) =>
    [
      ...fold(
        projection,
        new Map(),
        statementsIn(projection, [event]),
      ).values(),
    ].map((known) => toRow(projection, known)),
  );
  expect(rows).not.toContain(undefined);
  for (const text of textsIn(rows)) {
    expect(text.isWellFormed() && !text.includes("\u0000")).toBe(true);
  }
  expect(JSON.parse(JSON.stringify(rows))).toEqual(rows);
}

function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [
    key,
    ...textsIn(member),
  ]);
}

const digits = fc
  .array(fc.nat(9), { maxLength: 30 })
  .map((list) => list.join(""));

const aDecimal = fc
  .record({
    sign: fc.constantFrom("", "-"),
    whole: fc
      .tuple(fc.nat(9), digits)
      .map(([first, rest]) => `${String(first)}${rest}`),
    fraction: digits,
    exponent: fc.option(fc.integer({ min: -60, max: 60 }), { nil: undefined }),
  })
  .map((parts) => ({
    ...parts,
    text:
      parts.sign +
      parts.whole +
      (parts.fraction && `.${parts.fraction}`) +
      (parts.exponent === undefined ? "" : `e${String(parts.exponent)}`),
  }));

/** Stands in a text for a number that `JSON.stringify` would not write. */
const PLACE = "the place of a number";

/** The number times 10^100, exactly. */
function scaled(text: string, exponent = 0): bigint {
  const [whole = "", fraction = ""] = text.split(".");
  return (
    BigInt(whole + fraction) * 10n ** BigInt(100 + exponent - fraction.length)
  );
}

describe("an amount", () => {
  test("is the number that was sent, with its trailing zeros", () => {
    fc.assert(
      fc.property(
        aDecimal,
        ({ text, sign: minus, whole, fraction, exponent = 0 }) => {
          const reading = readAmount(text);

          const value = "value" in reading ? reading.value : "none";
          expect(value).toMatch(/^-?(?:0|[1-9]\d*)(?:\.\d+)?$/);
          const plain = `${minus}${whole}${fraction && `.${fraction}`}`;
          expect(scaled(value)).toBe(scaled(plain, exponent));
          const decimals = value.split(".")[1]?.length ?? 0;
          expect(decimals).toBe(Math.max(0, fraction.length - exponent));
        },
      ),
      { numRuns: 500 },
    );
  });

  test("means the same as JSON number and as JSON text", () => {
    const number = aDecimal.filter(
      ({ whole }) => whole === "0" || !whole.startsWith("0"),
    );
    fc.assert(
      fc.property(number, ({ text }) => {
        const asNumber = readAmount(parseJsonText(text));
        const asText = readAmount(text);

        const values = [asNumber, asText].map((reading) =>
          "value" in reading ? scaled(reading.value) : reading,
        );
        expect(values[0]).toEqual(values[1]);
      }),
      { numRuns: 500 },
    );
  });

  test.each<[string, (other: unknown) => unknown, (json: never) => unknown]>([
    ["as all of it", () => PLACE, (json) => json],
    [
      "in an object",
      (other) => ({ other, amount: PLACE, more: other }),
      (json: { amount: unknown }) => json.amount,
    ],
    [
      "at the beginning of a list",
      (other) => [PLACE, other],
      (json: unknown[]) => json[0],
    ],
    [
      "at the end of a list",
      (other) => [other, PLACE],
      (json: unknown[]) => json[1],
    ],
  ])("stays as it was sent %s", (_, build, find) => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.constantFrom("", " ", "\t", "\n\n  "),
        (other, indent) => {
          const text = JSON.stringify(build(other), undefined, indent);

          const json = parseJsonText(
            text.replace(JSON.stringify(PLACE), " 1.10"),
          );

          expect(numeralOf(find(json as never))).toBe("1.10");
        },
      ),
      { numRuns: 200 },
    );
  });

  test("is never read out of other text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        fc.pre(!/^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i.test(text));

        expect(readAmount(text)).toHaveProperty("fault");
      }),
    );
  });
});

describe("JSON", () => {
  test("means what JSON.parse makes of it, but for numbers kept as text", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), aDecimal, (json, { text }) => {
        const number = text.replace(/^(-?)0+(?=\d)/, "$1");
        const whole = `{"number":${number},"json":${json},"again":[${number}]}`;

        const parsed = parseJsonText(whole) as Record<string, unknown>;

        expect(numbersOf(parsed["json"])).toEqual(numbersOf(JSON.parse(json)));
        expect(numeralOf(parsed["number"])).toBe(number);
        expect(parsed["again"]).toEqual([parsed["number"]]);
      }),
      { numRuns: 500 },
    );
  });

  /** With numbers that were kept as text made numbers again. */
  function numbersOf(value: unknown): unknown {
    return JSON.parse(
      JSON.stringify(value, (_key, member: unknown) =>
        numeralOf(member) === undefined ? member : Number(numeralOf(member)),
      ),
    );
  }
});

describe("a time", () => {
  const aDate = fc.date({
    min: new Date("0001-01-03T00:00:00Z"),
    max: new Date("9999-12-29T00:00:00Z"),
    noInvalidDate: true,
  });
  const anOffset = fc.integer({ min: -15 * 60 - 59, max: 15 * 60 + 59 });

  test("at any offset is the moment that Date makes of it", () => {
    fc.assert(
      fc.property(
        aDate,
        anOffset,
        fc.constantFrom(":", ""),
        (date, offsetMinutes, colon) => {
          const local = new Date(date.getTime() + offsetMinutes * 60_000);
          const text = local
            .toISOString()
            .replace("Z", writtenOffset(offsetMinutes, colon));

          expect(readInstant(text)).toEqual({
            value: instantFromEpochMs(date.getTime()),
          });
        },
      ),
      { numRuns: 500 },
    );
  });

  test("keeps up to six decimals", () => {
    const decimals = fc
      .array(fc.nat(9), { minLength: 1, maxLength: 6 })
      .map((list) => list.join(""));
    fc.assert(
      fc.property(decimals, (fraction) => {
        expect(readInstant(`2026-04-12T15:27:39.${fraction}+08:00`)).toEqual({
          value: `2026-04-12T07:27:39.${fraction.padEnd(6, "0")}Z`,
        });
      }),
    );
  });

  test("as text has the order of the moments", () => {
    fc.assert(
      fc.property(aDate, aDate, (a, b) => {
        const [first, second] = [a, b].map((date) =>
          instantFromEpochMs(date.getTime()),
        );

        expect((first ?? "") < (second ?? "")).toBe(a < b);
      }),
    );
  });

  function writtenOffset(minutes: number, colon: string): string {
    const absolute = Math.abs(minutes);
    const pad = (number: number) => String(number).padStart(2, "0");
    const hours = pad(Math.floor(absolute / 60));
    return `${minutes < 0 ? "-" : "+"}${hours}${colon}${pad(absolute % 60)}`;
  }
});
