/** The part of a pino logger that the queue needs. */
export interface QueueLog {
  warn(fields: object, message: string): void;
}

/** An unreachable Redis raises several errors a second for as long as it is away. */
const LOG_INTERVAL_MS = 10_000;

/**
 * Logs the first error at once and then at most one line for each interval;
 * `suppressed` tells how many came in between.
 */
export function createErrorReporter(
  log: QueueLog,
  message: string,
  now: () => number = Date.now,
): (error: unknown) => void {
  let loggedAt = -Infinity;
  let suppressed = 0;

  return (error) => {
    if (now() - loggedAt < LOG_INTERVAL_MS) {
      suppressed += 1;
      return;
    }
    log.warn({ err: describeError(error), suppressed }, message);
    loggedAt = now();
    suppressed = 0;
  };
}

/**
 * Chosen properties only: ioredis hangs the arguments of the failed command on
 * the error (for AUTH the password), pg the values of the row.
 */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) {
    return { type: typeof error, message: withoutPassword(String(error)) };
  }
  const code = "code" in error ? error.code : undefined;
  return {
    type: error.name,
    // The AggregateError of a refused connection has an empty message.
    message: withoutPassword(error.message || String(code)),
    stack: withoutPassword(error.stack ?? ""),
    ...(code === undefined ? {} : { code }),
  };
}

function withoutPassword(text: string): string {
  return text.replaceAll(/\/\/[^@\s]*@/g, "//***@");
}
