import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { waitFor } from "./wait-for.ts";

export interface TestProcess {
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The first group of the first match of what it wrote, once it has. @throws when it ends before */
  readonly untilOutput: (
    pattern: RegExp,
    timeoutMs?: number,
  ) => Promise<string>;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  readonly kill: (signal: NodeJS.Signals) => void;
}

const running = new Set<TestProcess>();

interface ProcessOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/**
 * Runs one of the compiled programs, as `npm start` does, with an environment that holds nothing but this.
 *
 * @param program such as `main.js`
 */
export function startProcess(
  program: string,
  options: ProcessOptions,
): TestProcess {
  const path = fileURLToPath(
    new URL(`../../dist/src/${program}`, import.meta.url),
  );
  return startCommand(process.execPath, {
    ...options,
    args: [path, ...(options.args ?? [])],
  });
}

/** Runs any command; ends with the other processes of a test. */
export function startCommand(
  command: string,
  options: ProcessOptions,
): TestProcess {
  const { PATH, HOME } = process.env;
  const child = spawn(command, options.args ?? [], {
    cwd: options.cwd,
    env: { PATH, HOME, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => (stdout += String(chunk)));
  child.stderr.on("data", (chunk) => (stderr += String(chunk)));
  let hasEnded = false;
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once("close", (code, signal) => {
      hasEnded = true;
      running.delete(started);
      resolve(code ?? signal ?? -1);
    });
  });
  const started: TestProcess = {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    kill: (signal) => {
      child.kill(signal);
    },
    untilOutput: (pattern, timeoutMs = 30_000) =>
      waitFor(
        () => {
          const match = pattern.exec(stdout);
          if (match !== null) return Promise.resolve(match[1] ?? match[0]);
          if (hasEnded) throw new Error(`it ended: ${stderr}${stdout}`);
          return Promise.resolve(undefined);
        },
        {
          what: `${[command, ...(options.args ?? [])].join(" ")} to write ${String(pattern)}`,
          timeoutMs,
        },
      ),
  };
  running.add(started);
  return started;
}

/** Ends what a test has left running, so that a failing one leaves nothing behind. */
export async function endProcesses(): Promise<void> {
  for (const each of running) {
    each.kill("SIGTERM");
    const killer = setTimeout(() => {
      each.kill("SIGKILL");
    }, 10_000);
    await each.ended;
    clearTimeout(killer);
  }
}

/** A folder of its own to run in; a program keeps its data there. */
export async function makeFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "uqpay-test-process-"));
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}
