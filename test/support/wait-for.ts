import { setTimeout as sleep } from "node:timers/promises";

export interface WaitOptions {
  readonly timeoutMs?: number;
  /** What is waited for, for the message when it does not come. */
  readonly what: string;
}

/**
 * Asks again until there is an answer: what is waited for happens elsewhere and tells nobody.
 *
 * @throws Error naming what did not come, with the last error that `check` threw as its cause
 */
export async function waitFor<T>(
  check: () => Promise<T | undefined | false>,
  { timeoutMs = 10_000, what }: WaitOptions,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await check();
      cause = undefined;
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      cause = error;
    }
    if (Date.now() >= deadline) {
      throw new Error(`waited ${String(timeoutMs)} ms for ${what}`, { cause });
    }
    await sleep(20);
  }
}
