import { createRateLimitedLog } from "../process/rate-limited-log.ts";
import { describeError } from "../store/errors.ts";

interface ErrorLog {
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
}

/**
 * Logs errors of one kind under one message. While a database or Redis is away everything fails at once, and a few lines
 * say it as well as thousands.
 */
export function createErrorReporter(
  log: ErrorLog,
  message: string,
  level: "warn" | "error" = "error",
  linesPerPeriod?: number,
): (error: unknown) => void {
  const limited = createRateLimitedLog(Date.now, linesPerPeriod);
  return (error) => {
    limited((suppressed) => {
      log[level]({ error: describeError(error), suppressed }, message);
    });
  };
}
