import { Worker } from "node:worker_threads";

export interface Watchdog {
  readonly stop: () => Promise<void>;
}

/** How often the process shows that its event loop runs. */
const HEARTBEAT_MS = 1_000;

/**
 * Ends the process when its event loop has stood still for so long: a process that hangs answers nothing, cannot notice
 * it itself and cannot be asked to stop. Its supervisor starts it again, and the event that it hung on has an attempt
 * counted against it.
 *
 * The check needs a thread of its own; its code is text, since it is a few lines and must run from any folder.
 */
export function startWatchdog(timeoutMs: number): Watchdog {
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const beat = setInterval(() => {
    Atomics.add(beats, 0, 1);
  }, HEARTBEAT_MS);
  beat.unref();
  const thread = new Worker(WATCHER, {
    eval: true,
    workerData: { beats, timeoutMs },
  });
  thread.unref();
  return {
    stop: async () => {
      clearInterval(beat);
      await thread.terminate();
    },
  };
}

const WATCHER = `
  const { workerData: { beats, timeoutMs } } = require("node:worker_threads");
  const { write } = require("node:fs");
  const kill = () => process.kill(process.pid, "SIGKILL");
  let last = -1;
  setInterval(() => {
    const now = Atomics.load(beats, 0);
    if (now === last) {
      // The reader of standard error may stand still, too.
      setTimeout(kill, 1000);
      write(2, "the event loop has not turned for " + timeoutMs + " ms: ending the process\\n", kill);
    }
    last = now;
  }, timeoutMs);
`;
