/** How often something is tried, and how long it waits between two tries. */
export interface RetryRules {
  readonly maxAttempts: number;
  /** Before the second attempt; doubles with each further one. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
}

/**
 * Exponential, with jitter on its upper half: retries of one moment do not come back in one moment.
 *
 * @param random 0 to 1
 */
export function delayAfter(
  attempt: number,
  retry: RetryRules,
  random: () => number,
): number {
  return withJitter(retry.firstDelayMs * 2 ** (attempt - 1), retry, random);
}

/**
 * Exponential, with jitter over its whole: for what many ask of one server that is not ours, and that may be at its limit.
 *
 * @param random 0 to 1
 */
export function anyDelayAfter(
  attempt: number,
  { firstDelayMs, maxDelayMs }: RetryRules,
  random: () => number,
): number {
  const fullMs = Math.min(firstDelayMs * 2 ** (attempt - 1), maxDelayMs);
  return Math.round(fullMs * random());
}

/** Without a count, by how long the trouble has lasted: it is over at most half as late again. */
export function delayInTrouble(
  waitedMs: number,
  retry: RetryRules,
  random: () => number,
): number {
  return withJitter(Math.max(retry.firstDelayMs, waitedMs / 2), retry, random);
}

function withJitter(
  fullMs: number,
  { maxDelayMs }: RetryRules,
  random: () => number,
): number {
  return Math.round(Math.min(fullMs, maxDelayMs) * (0.5 + random() / 2));
}
