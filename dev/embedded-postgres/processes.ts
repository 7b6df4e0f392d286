import { readFileSync } from "node:fs";

/** True while the process does work: one that has ended but was not reaped by its parent counts as ended. */
export function isRunning(pid: number): boolean {
  return isTaken(pid) && readProcessStat(pid)?.state !== "Z";
}

export function isTaken(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return hasErrorCode(error, "EPERM");
  }
}

/**
 * A name for this run of the process that no later process with the same pid gets, or undefined where the
 * system tells none (anything but Linux). A pid alone does not do: in a container the service has the same
 * small pid after every restart.
 */
export function identifyRun(pid: number): string | undefined {
  const stat = readProcessStat(pid);
  const bootId = readIfPossible("/proc/sys/kernel/random/boot_id")?.trim();
  return stat === undefined || bootId === undefined
    ? undefined
    : `${bootId}/${stat.startTime}`;
}

/** Looks at the code only: under Jest the errors of Node's modules are no instances of the tests' `Error`. */
export function hasErrorCode(
  error: unknown,
  ...codes: readonly string[]
): boolean {
  const { code = "" } = error as NodeJS.ErrnoException;
  return codes.includes(code);
}

export function readIfPossible(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function readProcessStat(pid: number) {
  // The second field, the program's name in parentheses, may itself contain spaces and parentheses.
  const stat = readIfPossible(`/proc/${pid}/stat`)?.replace(/^.*\) /s, "");
  const fields = stat?.split(" ");
  return fields && { state: fields[0], startTime: fields[19] };
}
