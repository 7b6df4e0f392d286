import { setTimeout as delay } from "node:timers/promises";
import { type IQueueBackend, isNotConnectionError } from "bullmq";
import { WORKER_OPTIONS } from "./bullmq.ts";

/** Makes BullMQ's worker report all errors of its two loops and take them calmly. */
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
