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
  /** Also what a command has started. */
  readonly killAll: (signal: NodeJS.Signals) => void;
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
  return start(process.execPath, {
    ...options,
    args: [path, ...(options.args ?? [])],
  });
}

/** Runs any command. Ends with the other processes of a test, and with it whatever it has started. */
export function startCommand(
  command: string,
  options: ProcessOptions,
): TestProcess {
  return start(command, options, true);
}

function start(
  command: string,
  options: ProcessOptions,
  detached = false,
): TestProcess {
  const { PATH, HOME } = process.env;
  const child = spawn(command, options.args ?? [], {
    cwd: options.cwd,
    env: { PATH, HOME, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own, so that a signal can reach what it started.
    detached,
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
    killAll: (signal) => {
      if (detached && child.pid !== undefined) process.kill(-child.pid, signal);
      else child.kill(signal);
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

/** Where the service of this process listens, once it does. */
export async function baseUrlOf(
  running: TestProcess,
): Promise<{ readonly baseUrl: string }> {
  const port = await running.untilOutput(/"port":(\d+).*"msg":"listening"/);
  return { baseUrl: `http://127.0.0.1:${port}` };
}

/** Ends what a test has left running, so that a failing one leaves nothing behind. */
export async function endProcesses(): Promise<void> {
  for (const each of running) {
    each.killAll("SIGTERM");
    const killer = setTimeout(() => {
      each.killAll("SIGKILL");
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
