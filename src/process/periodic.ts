export interface Periodic {
  /** Starts no new run and waits for the one under way. */
  readonly stop: () => Promise<void>;
}

/**
 * Runs a step again and again, with a pause between the end of one run and the start of the next, so that slow
 * runs never pile up. The first run comes after one pause.
 *
 * @param step must not reject; should end soon once the signal is aborted
 */
export function startPeriodic(
  pauseMs: number,
  step: (signal: AbortSignal) => Promise<void>,
): Periodic {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  const stopping = new AbortController();
  const schedule = () => {
    timer = setTimeout(() => {
      running = step(stopping.signal).finally(() => {
        running = undefined;
        if (!stopping.signal.aborted) schedule();
      });
    }, pauseMs);
  };
  schedule();
  return {
    stop: async () => {
      stopping.abort();
      clearTimeout(timer);
      await running;
    },
  };
}
