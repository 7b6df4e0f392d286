// How the use case is called where only its cost counts: nothing fails, so nothing is tried again.

/**
 * @param {import("../../src/store/database.ts").Database} db
 * @param {Pick<import("../../src/apply-events.ts").ReconcileOptions, "checkpoint" | "turns">} build of the same build
 */
export function reconcileOptions(db, { checkpoint, turns }) {
  return {
    db,
    retry: { maxAttempts: 1, firstDelayMs: 1_000, maxDelayMs: 1_000 },
    random: Math.random,
    checkpoint,
    turns,
    isSchemaKnown: () => Promise.resolve(true),
    owed: new Map(),
    signal: new AbortController().signal,
  };
}
