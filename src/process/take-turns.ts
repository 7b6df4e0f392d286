type Turn = <T>(work: () => Promise<T>) => Promise<T>;

/** Who must be alone waits for all others, and all others for him. Nobody is overtaken by whom he would wait for. */
export interface Turns {
  /** Beside others that share. */
  readonly share: Turn;
  readonly takeAlone: Turn;
}

export function createTurns(): Turns {
  let lastAlone: Promise<unknown> = Promise.resolve();
  let sharing = new Set<Promise<unknown>>();
  return {
    share: (work) => {
      const result = lastAlone.then(work);
      const among = sharing;
      const ended = result
        .catch(() => undefined)
        .finally(() => among.delete(ended));
      among.add(ended);
      return result;
    },
    takeAlone: (work) => {
      const result = Promise.all([lastAlone, ...sharing]).then(work);
      lastAlone = result.catch(() => undefined);
      sharing = new Set();
      return result;
    },
  };
}
