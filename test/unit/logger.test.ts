import { describe, expect, test } from "@jest/globals";
import { createLogger } from "../../src/process/logger.ts";
import type { LogLevel } from "../../src/config.ts";
import { decodeEvent } from "../../src/uqpay/decode-event.ts";
import { sign } from "../../src/uqpay/signature.ts";
import {
  compactBytes,
  payload,
  payloadNames,
  signedHeaders,
} from "../support/fixtures.ts";
import { at } from "../support/events.ts";

/** What must never be in a log, by the names under which UQPAY sends it. */
const SECRET_NAMES = [
  "card_number",
  "otp",
  "activation_code",
  "secret_key",
  "email",
  "first_name",
  "last_name",
  "phone_number",
  "date_of_birth",
];

const secret = "whsec_canary_secret";

function aLog(level: LogLevel = "trace") {
  const lines: string[] = [];
  const logger = createLogger(level, {
    write: (line: string) => {
      lines.push(line);
    },
  });
  return { logger, lines };
}

/** The values in a payload that would be a leak. */
function canariesIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    SECRET_NAMES.includes(name) && typeof member === "string" && member !== ""
      ? [member]
      : canariesIn(member),
  );
}

type Log = ReturnType<typeof createLogger>;

/** How somebody could come to log a delivery, by what it is called in the title. */
const ways: [string, (log: Log, name: string) => void][] = [
  [
    "the event stands under a field",
    (log, name) => {
      log.info({ event: payload(name) }, "said");
    },
  ],
  [
    "its data stand under a field",
    (log, name) => {
      log.info({ data: payload(name).data }, "said");
    },
  ],
  [
    "the event is the fields",
    (log, name) => {
      log.info(payload(name), "said");
    },
  ],
  [
    "its data are the fields",
    (log, name) => {
      log.info(payload(name).data, "said");
    },
  ],
  [
    "the delivery stands under a field",
    (log, name) => {
      log.info({ delivery: aDelivery(name) }, "said");
    },
  ],
  [
    "the delivery is the fields",
    (log, name) => {
      log.info(aDelivery(name), "said");
    },
  ],
  [
    "an error carries the delivery",
    (log, name) => {
      log.error(
        { err: Object.assign(new Error("x"), aDelivery(name)) },
        "said",
      );
    },
  ],
  [
    "a child logger is bound to the event",
    (log, name) => {
      log.child({ event: payload(name) }).warn("said");
    },
  ],
  [
    "the event is in our words",
    (log, name) => {
      const decoded = decoding(name);
      log.info({ event: "event" in decoded ? decoded.event : {} }, "said");
    },
  ],
  [
    "what was decoded stands under a field",
    (log, name) => {
      log.info({ decoded: decoding(name) }, "said");
    },
  ],
  [
    "the configuration stands under a field",
    (log) => {
      const config = { webhook: { secrets: [secret] }, adminToken: secret };
      log.info({ config }, "said");
    },
  ],
  [
    "the request's headers stand under a field",
    (log, name) => {
      const headers = headersOf(name);
      log.info({ headers }, "said");
      log.info({ req: { headers } }, "said");
    },
  ],
];

function aDelivery(name: string) {
  const rawBody = compactBytes(name);
  const signature = sign(rawBody, "1776000000000", secret);
  return { rawBody, body: rawBody.toString("utf8"), signature };
}

function headersOf(name: string) {
  return signedHeaders(compactBytes(name), {
    secret,
    atMs: 1_776_000_000_000,
  });
}

function signaturesOf(name: string): string[] {
  return [headersOf(name)["x-wk-signature"] ?? "", aDelivery(name).signature];
}

function decoding(name: string) {
  return decodeEvent(compactBytes(name), {
    signedAt: at("10:00:00"),
    receivedAt: at("10:00:00"),
  });
}

describe("the log", () => {
  test.each(ways)(
    "of any payload shows nothing secret when %s",
    (_way, write) => {
      const { logger, lines } = aLog();

      for (const name of payloadNames()) write(logger, name);

      const output = lines.join("");
      const leaks = payloadNames()
        .flatMap((name) => [
          secret,
          ...signaturesOf(name),
          ...canariesIn(payload(name)),
        ])
        .filter((canary) => output.includes(canary));
      expect(lines.length).toBeGreaterThanOrEqual(payloadNames().length);
      expect([...new Set(leaks)]).toEqual([]);
    },
  );

  test("the payloads have something to hide", () => {
    const canaries = payloadNames().flatMap((name) =>
      canariesIn(payload(name)),
    );

    expect(canaries.length).toBeGreaterThan(30);
  });

  test("is one JSON object a line, with its time, without process and host", () => {
    const { logger, lines } = aLog();

    logger.info({ count: 2 }, "events recorded");

    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toEqual({
      level: 30,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      count: 2,
      msg: "events recorded",
    });
  });

  test("tells nothing below its level", () => {
    const { logger, lines } = aLog("warn");

    logger.info("not worth it");
    logger.warn("worth it");

    expect(lines).toHaveLength(1);
  });
});
