import { setTimeout as sleep } from "node:timers/promises";

/** Work that fails again and again for one reason: it is tried ever later, and never in a hot loop. */
export interface Trouble {
  /** Settles when it is time to try again: at once, unless the last try failed. */
  readonly pause: (signal: AbortSignal) => Promise<void>;
  readonly found: () => void;
  readonly isOver: () => void;
  /** More than one try in a row has failed. */
  readonly lasts: () => boolean;
}

export interface TroubleOptions {
  /** Before the second try; doubles with each further one. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** A failure counts for so long; later nothing is known of it any more. */
  readonly rememberedMs: number;
}

export function createTrouble(options: TroubleOptions): Trouble {
  let failures = 0;
  let failedAtMs = -Infinity;
  const count = () =>
    performance.now() - failedAtMs < options.rememberedMs ? failures : 0;
  return {
    pause: async (signal) => {
      if (count() === 0) return;
      const ms = Math.min(
        options.firstDelayMs * 2 ** (failures - 1),
        options.maxDelayMs,
      );
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
