/** The work took too long; it goes on, and its outcome is lost. */
export class TimeoutError extends Error {
  override readonly name = "TimeoutError";
}

/** Settles as the work does, or rejects with a TimeoutError when that takes longer. */
export async function within<Result>(
  work: Promise<Result>,
  timeoutMs: number,
  what: string,
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new TimeoutError(`${what}: no answer within ${String(timeoutMs)} ms`),
      );
    }, timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
