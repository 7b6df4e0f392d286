import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Binaries } from "./binaries.ts";
import { tryLogIn } from "./connection.ts";
import { spawnProgram, type Cluster } from "./data-directory.ts";
import {
  hasErrorCode,
  isRunning,
  isTaken,
  readIfPossible,
} from "./processes.ts";

type ServerSignal = "SIGINT" | "SIGQUIT" | "SIGKILL";

/** PostgreSQL's names for these: fast shutdown, immediate shutdown (recovery at the next start); then force. */
const SHUTDOWN_STEPS: readonly (readonly [ServerSignal, number])[] = [
  ["SIGINT", 10_000],
  ["SIGQUIT", 3_000],
  ["SIGKILL", 2_000],
];
const POLL_MS = 20;

/** A PostgreSQL server process, started by this process or by an earlier one. */
export interface Server {
  readonly pid: number;
  hasEnded(): boolean;
  signal(name: ServerSignal): void;
}

export interface SpawnedServer extends Server {
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<void>;
}

/** Starts the server and returns at once, before it accepts connections. */
export async function spawnServer(
  cluster: Cluster,
  settings: Readonly<Record<string, string>>,
): Promise<SpawnedServer> {
  const flags = Object.entries(settings).flatMap(([name, value]) => [
    "-c",
    `${name}=${value}`,
  ]);
  const child = spawnProgram(
    cluster,
    "postgres",
    [cluster.directory.cluster],
    ([data = ""]) => ["-D", data, ...flags],
  );
  const ended = new Promise<void>((resolve) =>
    child.once("exit", () => resolve()),
  );
  await once(child, "spawn");
  child.unref();
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  return {
    ended,
    pid: child.pid ?? 0,
    hasEnded,
    signal: (name) => {
      if (!hasEnded()) sendSignal(child.pid ?? 0, name, cluster.binaries);
    },
  };
}

/** Stops the server, gently at first; returns when it has ended. */
export async function stopServer(server: Server): Promise<void> {
  for (const [name, patience] of SHUTDOWN_STEPS) {
    if (server.hasEnded()) return;
    server.signal(name);
    const deadline = Date.now() + patience;
    while (!server.hasEnded() && Date.now() < deadline) await sleep(POLL_MS);
  }
  if (!server.hasEnded())
    throw new Error(`the PostgreSQL server (pid ${server.pid}) does not end`);
}

/** Stops a server left behind by an owner that is dead. Call it only with the claim on the directory. */
export async function stopOrphan(
  { directory, binaries }: Cluster,
  password: string,
): Promise<void> {
  const pidFile = join(directory.cluster, "postmaster.pid");
  const [pidLine, , , portLine] = readIfPossible(pidFile)?.split("\n") ?? [];
  const pid = Number(pidLine);
  if (!Number.isInteger(pid) || pid <= 0) return;
  if (await isServerOf(directory.cluster, pid, Number(portLine), password)) {
    await stopServer({
      pid,
      hasEnded: () => !isRunning(pid),
      signal: (name) => sendSignal(pid, name, binaries),
    });
  }
  // The server was killed and its pid now belongs to something else (or to its own unreaped remains).
  // PostgreSQL looks only at the pid and would refuse to start. A pid that is free it handles itself.
  if (isTaken(pid)) rmSync(pidFile, { force: true });
}

/** True when the process is the server of this cluster, and not a later process that got its pid. */
async function isServerOf(
  cluster: string,
  pid: number,
  port: number,
  password: string,
): Promise<boolean> {
  if (!isRunning(pid)) return false;
  if (process.platform !== "linux")
    return (await tryLogIn(port, password)) === "accepted";
  return (
    readIfPossible(`/proc/${pid}/comm`)?.trim() === "postgres" &&
    worksIn(pid, cluster)
  );
}

/** The server's working directory is its cluster; compared by inode, as a path may differ by links. */
function worksIn(pid: number, directory: string): boolean {
  const expected = statSync(directory);
  try {
    const actual = statSync(`/proc/${pid}/cwd`);
    return actual.ino === expected.ino && actual.dev === expected.dev;
  } catch {
    return false;
  }
}

function sendSignal(pid: number, name: ServerSignal, binaries: Binaries): void {
  if (process.platform === "win32" && name !== "SIGKILL") {
    // Node can only terminate on Windows; PostgreSQL has signals of its own there, sent by pg_ctl.
    spawnSync(binaries.pg_ctl, ["kill", name.slice(3), String(pid)], {
      windowsHide: true,
    });
    return;
  }
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!hasErrorCode(error, "ESRCH")) throw error;
  }
}
