import { setTimeout as sleep } from "node:timers/promises";

/** What keeps a worker from its work: it tries again ever later, and never in a hot loop. */
export interface Trouble {
  /** Settles when it is time to try again: at once, unless the last try failed. */
  readonly pause: (signal: AbortSignal) => Promise<void>;
  readonly found: () => void;
  readonly isOver: () => void;
  /** More than one try in a row has failed. */
  readonly lasts: () => boolean;
}

/** A worker that has had nothing to do for so long knows nothing of it any more. */
const REMEMBERED_MS = 30_000;

export function createTrouble(delayMs: {
  readonly first: number;
  readonly max: number;
}): Trouble {
  let failures = 0;
  let failedAtMs = -Infinity;
  const count = () =>
    performance.now() - failedAtMs < REMEMBERED_MS ? failures : 0;
  return {
    pause: async (signal) => {
      if (count() === 0) return;
      const ms = Math.min(delayMs.first * 2 ** (failures - 1), delayMs.max);
      await sleep(ms, undefined, { signal }).catch(() => undefined);
    },
    found: () => {
      failures = count() + 1;
      failedAtMs = performance.now();
    },
    isOver: () => {
      failures = 0;
    },
    lasts: () => count() > 1,
  };
}
