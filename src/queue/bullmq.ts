// What both backends have in common: the shape of a job, the options of queue
// and worker, and the small interfaces that event-queue and event-worker use.
import type { Job, JobsOptions } from "bullmq";

/** Exactly what is stored; no personal data may get into the queue. */
export interface HintData {
  readonly eventIds: readonly string[];
  /** See partitions.ts. */
  readonly partitions?: string;
  readonly oneByOne?: true;
}

export type HintJob = Pick<
  Job<HintData>,
  "data" | "attemptsStarted" | "stalledCounter"
>;

/** A producer's connection to one backend. */
export interface OpenQueue {
  add(name: string, data: HintData, options: JobsOptions): Promise<unknown>;
  /** Any cheap round trip. */
  ping(): Promise<unknown>;
  oldestWaiting(): Promise<WaitingJob | undefined>;
  /** Drops what is still under way. */
  close(): Promise<void>;
}

export interface WaitingJob {
  readonly addedAtMs: number;
  readonly delayMs: number;
}

/** A consumer's connections to one backend. */
export interface OpenWorker {
  /** Takes no new jobs; settles at once. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Takes no new jobs and waits for the active ones; may never settle when the backend is away. */
  close(): Promise<void>;
  /** Makes a `close` settle that waits for the backend. */
  abandon(): void;
}

export interface OpenWorkerOptions {
  readonly concurrency: number;
  readonly lockDuration: number;
  readonly stalledInterval: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Attempts and errors live on the event's row, and a finished job that is kept
 * would be one more thing that grows.
 */
export const JOB_OPTIONS = {
  attempts: 1,
  removeOnComplete: true,
  removeOnFail: true,
} satisfies JobsOptions;

/**
 * BullMQ's event stream cannot be switched off and nobody reads it. Trimmed in
 * chunks (Redis 100 entries, PostgreSQL 256 rows). Not 0: PostgreSQL's
 * publish_event would never trim; by default it is 10,000.
 */
export const QUEUE_META = { "opts.maxLenEvents": 100 };

export const WORKER_OPTIONS = {
  /**
   * A job that stalls more often is dropped unseen. Its next run is what counts
   * an attempt on the event that kills the process, so the job must outlive
   * all of its events' attempts: the limit belongs to the rows.
   */
  maxStalledCount: 1_000,
  /** How long an idle worker waits for a notification before it looks for itself. */
  drainDelay: 5,
  /** Pause between tries to reach a lost backend; BullMQ's 15 s is too long. */
  runRetryDelay: 1_000,
};
