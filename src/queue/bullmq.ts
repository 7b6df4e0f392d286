// What both backends have in common: the shape of a job, the options of queue
// and worker, and the small interfaces that event-queue and event-worker use.
import { setTimeout as delay } from "node:timers/promises";
import type { IQueueBackend, Job, JobsOptions } from "bullmq";
import { isNotConnectionError } from "bullmq";

/** Exactly what is stored; no personal data may get into the queue. */
export interface HintData {
  readonly eventIds: readonly string[];
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
 * BullMQ's event stream cannot be switched off and nothing reads it. Trimmed in
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

/** Makes BullMQ's worker report all errors of its two loops, and pause after each. */
export function tolerateErrors(
  backend: Pick<IQueueBackend, "moveToActive" | "moveStalledJobsToWait">,
  onError: (error: unknown) => void,
): void {
  // After a refused connection BullMQ pauses, but does not report it. After any
  // other error ("OOM command not allowed", "the database system is starting
  // up") it asks again at once: thousands of errors a second.
  const moveToActive = backend.moveToActive.bind(backend);
  backend.moveToActive = async (token, name) => {
    try {
      return (await moveToActive(token, name)) as unknown[];
    } catch (error) {
      if (isNotConnectionError(error as Error)) {
        await delay(WORKER_OPTIONS.runRetryDelay);
      } else {
        onError(error);
      }
      throw error;
    }
  };

  // BullMQ would pause for 5 s that a close does not end. The next check comes
  // after the usual interval.
  const moveStalledJobsToWait = backend.moveStalledJobsToWait.bind(backend);
  backend.moveStalledJobsToWait = async () => {
    try {
      return await moveStalledJobsToWait();
    } catch (error) {
      onError(error);
      return [];
    }
  };
}
