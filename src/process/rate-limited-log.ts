/** So many lines in each period; a flood must not fill a disk. */
const LINES_PER_PERIOD = 10;
const PERIOD_MS = 10_000;

/**
 * Writes the first few of many like lines. The next line that is written is told how many were not.
 *
 * @returns called once for each line, with a function that writes it
 */
export function createRateLimitedLog(
  nowMs: () => number,
): (write: (suppressed: number) => void) => void {
  let periodStartedAt = -Infinity;
  let written = 0;
  let suppressed = 0;
  return (write) => {
    if (nowMs() - periodStartedAt >= PERIOD_MS) {
      periodStartedAt = nowMs();
      written = 0;
    }
    if (written >= LINES_PER_PERIOD) {
      suppressed++;
      return;
    }
    written++;
    write(suppressed);
    suppressed = 0;
  };
}
