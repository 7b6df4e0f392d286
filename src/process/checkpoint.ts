/**
 * The moments at which a process may die and the promise must still hold:
 * after the commit and before the answer; after the answer and before the hint; inside the transaction that
 * applies, before and after it has written; after that transaction and before the job is done.
 */
export type Moment =
  "recorded" | "answered" | "applying" | "applied" | "committed";

/** Told of each moment. The service does nothing at them; the fault suite kills, blocks and throws there. */
export type Checkpoint = (moment: Moment, eventIds: readonly string[]) => void;

export const noCheckpoint: Checkpoint = () => undefined;
