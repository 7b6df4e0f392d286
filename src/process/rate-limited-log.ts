const PERIOD_MS = 10_000;

/**
 * Writes the first lines of each period and drops the others: a flood must not fill a disk. The next line that is
 * written is told how many were dropped.
 *
 * @returns called once for each line, with a function that writes it
 */
export function createRateLimitedLog(
  nowMs: () => number,
  linesPerPeriod = 10,
): (write: (suppressed: number) => void) => void {
  let periodStartedAt = -Infinity;
  let written = 0;
  let suppressed = 0;
  return (write) => {
    if (nowMs() - periodStartedAt >= PERIOD_MS) {
      periodStartedAt = nowMs();
      written = 0;
    }
    if (written >= linesPerPeriod) {
      suppressed++;
      return;
    }
    written++;
    write(suppressed);
    suppressed = 0;
  };
}
