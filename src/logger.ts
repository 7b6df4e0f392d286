import { pino } from "pino";
import type { DestinationStream, Logger } from "pino";
import type { LogLevel } from "./config.ts";

export type { Logger } from "pino";

/**
 * Names under which a body, a secret or something personal could come. Nothing of the kind is logged on
 * purpose: this is the net below.
 */
const NEVER_LOGGED = [
  "body",
  "text",
  "rawBody",
  "signature",
  "x-wk-signature",
  "secret",
  "secrets",
  "adminToken",
  "redisUrl",
  "databaseUrl",
  "password",
  "authorization",
  "otp",
  "activation_code",
  "secret_key",
  "card_number",
  "cardNumber",
  "cardholder",
  "email",
  "first_name",
  "last_name",
  "phone_number",
  "date_of_birth",
];

/** JSON lines on standard output. Messages are constant; what varies is in the fields. */
export function createLogger(
  level: LogLevel,
  destination?: DestinationStream,
): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: {
        paths: NEVER_LOGGED.flatMap(pathsTo),
        censor: "[redacted]",
      },
    },
    destination ?? pino.destination(1),
  );
}

/** As deep as an event, a delivery or the configuration lies when somebody logs it under a field. */
const DEEPEST = 5;

function pathsTo(name: string): string[] {
  return Array.from({ length: DEEPEST }, (_, depth) =>
    `${"*.".repeat(depth)}["${name}"]`.replace(".[", "["),
  );
}
