import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Moment } from "../../src/process/checkpoint.ts";
import type { Arm } from "./instance.ts";

const PROGRAM = fileURLToPath(new URL("./instance.js", import.meta.url));
const RESTART_PAUSE_MS = 200;
const POLL_MS = 20;
/** The configured deadline of a shutdown, and a little for the process to end. */
const SHUTDOWN_TIMEOUT_MS = 10_000;
const TERM_PATIENCE_MS = SHUTDOWN_TIMEOUT_MS + 5_000;

export interface InstanceOptions {
  readonly name: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  readonly execArgv?: readonly string[];
  readonly logFile: string;
  /** Whether a death that nobody ordered is part of the plan (poison). */
  readonly mayDie?: boolean;
}

/** One instance and its supervisor, which starts it again whenever it has died. */
export interface Instance {
  readonly name: string;
  readonly port: number;
  /** Resolves to false when it does not listen in that time. */
  readonly untilReady: (timeoutMs: number) => Promise<boolean>;
  /** Dies at that moment. False when the moment did not come in that time; then nothing was done. */
  readonly killAt: (
    moment: Moment,
    after: number,
    timeoutMs: number,
  ) => Promise<boolean>;
  readonly kill: () => Promise<boolean>;
  /** Asks it to stop and checks that it does, with 0. */
  readonly terminate: () => Promise<boolean>;
  readonly freeze: (durationMs: number) => Promise<boolean>;
  readonly stop: () => Promise<void>;
  /** How often it died without an order. */
  readonly deaths: () => number;
  readonly failedStarts: () => number;
  /** The longest time from SIGTERM to its end. */
  readonly slowestStopMs: () => number;
  readonly violations: () => readonly string[];
}

export function startInstance(options: InstanceOptions): Instance {
  let child: ChildProcess;
  let isReady = false;
  let isStopping = false;
  /** What the suite has ordered for this child. */
  let ordered: "nothing" | "death" | "end" = "nothing";
  let deaths = 0;
  let failedStarts = 0;
  let runs = 0;
  let slowestStopMs = 0;
  const violations: string[] = [];

  const start = () => {
    const log = openSync(options.logFile, "a");
    child = fork(PROGRAM, [], {
      env: {
        PATH: process.env["PATH"] ?? "",
        HOST: "127.0.0.1",
        PORT: String(options.port),
        SHUTDOWN_TIMEOUT_MS: String(SHUTDOWN_TIMEOUT_MS),
        ...options.env,
      },
      execArgv: [...(options.execArgv ?? [])],
      stdio: ["ignore", log, log, "ipc"],
    });
    closeSync(log);
    isReady = false;
    ordered = "nothing";
    runs += 1;
    const started = child;
    child.on("message", () => {
      isReady = started === child;
    });
    child.on("error", () => undefined);
    child.on("exit", (code, signal) => onExit(code, signal));
  };

  const onExit = (code: number | null, signal: NodeJS.Signals | null) => {
    const how = signal ?? `code ${String(code)}`;
    if (ordered === "end" && code !== 0) {
      violations.push(`${options.name}: SIGTERM ended it with ${how}`);
    }
    if (ordered === "death" && signal !== "SIGKILL") {
      violations.push(`${options.name}: died by itself with ${how}`);
    }
    if (ordered === "nothing") {
      deaths += 1;
      // The database was not there: it says so and ends, and its supervisor tries again.
      if (!isReady && code === 1) failedStarts += 1;
      else if (options.mayDie !== true)
        violations.push(`${options.name}: died by itself with ${how}`);
    }
    isReady = false;
    if (isStopping) return;
    void sleep(RESTART_PAUSE_MS).then(() => {
      if (!isStopping) start();
    });
  };

  const hasRunEnded = async (run: number, timeoutMs: number) => {
    const deadline = Date.now() + timeoutMs;
    while (run === runs && isAlive(child)) {
      if (Date.now() > deadline) return false;
      await sleep(POLL_MS);
    }
    return true;
  };
  const untilReady = async (timeoutMs: number) => {
    const deadline = Date.now() + timeoutMs;
    while (!isReady) {
      if (Date.now() > deadline) return false;
      await sleep(POLL_MS);
    }
    return true;
  };
  const tell = (arm: Arm) => {
    if (child.connected) child.send(arm, () => undefined);
  };

  start();
  return {
    name: options.name,
    port: options.port,
    untilReady,
    killAt: async (moment, after, timeoutMs) => {
      if (!(await untilReady(timeoutMs))) return false;
      const run = runs;
      ordered = "death";
      tell({ moment, after });
      if (await hasRunEnded(run, timeoutMs)) return true;
      tell({ moment: undefined, after: 0 });
      // It may yet die of the order that is being taken back.
      await sleep(200);
      if (run !== runs || !isAlive(child)) return true;
      ordered = "nothing";
      return false;
    },
    kill: async () => {
      const run = runs;
      if (!isAlive(child)) return false;
      ordered = "death";
      child.kill("SIGKILL");
      return hasRunEnded(run, 5_000);
    },
    terminate: async () => {
      if (!(await untilReady(5_000))) return false;
      const run = runs;
      ordered = "end";
      const askedAt = performance.now();
      child.kill("SIGTERM");
      if (!(await hasRunEnded(run, TERM_PATIENCE_MS))) {
        violations.push(`${options.name}: SIGTERM did not end it in time`);
        ordered = "death";
        child.kill("SIGKILL");
      }
      slowestStopMs = Math.max(
        slowestStopMs,
        Math.round(performance.now() - askedAt),
      );
      return true;
    },
    freeze: async (durationMs) => {
      if (!isAlive(child)) return false;
      const frozen = child;
      frozen.kill("SIGSTOP");
      await sleep(durationMs);
      frozen.kill("SIGCONT");
      return true;
    },
    stop: async () => {
      isStopping = true;
      if (!isAlive(child)) return;
      ordered = "death";
      const run = runs;
      child.kill("SIGKILL");
      await hasRunEnded(run, 5_000);
    },
    deaths: () => deaths,
    failedStarts: () => failedStarts,
    slowestStopMs: () => slowestStopMs,
    violations: () => violations,
  };
}

function isAlive(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}
