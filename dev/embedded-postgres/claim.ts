import { randomUUID } from "node:crypto";
import { linkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import {
  hasErrorCode,
  identifyRun,
  isRunning,
  readIfPossible,
} from "./processes.ts";

const MAX_ATTEMPTS = 10;

/** The right of this process, and of no other, to run a server in a data directory. */
export interface Claim {
  /** Gives the right up; calling it again, or after another process took the directory, changes nothing. */
  release(): void;
}

/**
 * Records this process as the owner in the file at `path`.
 * @throws Error naming the owner's pid when a living process owns the directory
 */
export function claimDataDirectory(path: string, dataDir: string): Claim {
  const token = randomUUID();
  const content = JSON.stringify({
    pid: process.pid,
    run: identifyRun(process.pid),
    token,
  });
  for (let attempt = 0; !createWithContent(path, content); attempt += 1) {
    if (attempt === MAX_ATTEMPTS)
      throw new Error(`${path} can be neither read nor replaced`);
    const existing = readIfPossible(path);
    const pid = existing === undefined ? undefined : findLivingOwner(existing);
    if (pid !== undefined) {
      const who =
        pid === process.pid ? "this very process" : "another instance";
      throw new Error(
        `${who} (pid ${pid}) already uses the embedded PostgreSQL in ${dataDir}: ` +
          `stop it first, or set DATABASE_URL to use another database`,
      );
    }
    if (existing !== undefined) discardStale(path, existing);
  }
  return {
    release() {
      if (readIfPossible(path) === content) rmSync(path, { force: true });
    },
  };
}

/** @returns its pid */
function findLivingOwner(content: string): number | undefined {
  const { pid, run } = parseOwner(content);
  if (pid === undefined || !isRunning(pid)) return undefined;
  const running = identifyRun(pid);
  const isReused =
    running !== undefined && run !== undefined && run !== running;
  return isReused ? undefined : pid;
}

function parseOwner(content: string): { pid?: number; run?: string } {
  try {
    return JSON.parse(content) as object;
  } catch {
    return {};
  }
}

/** Creates the file with all of its content at once, so that half of it is never read; false when it exists. */
function createWithContent(path: string, content: string): boolean {
  const draft = `${path}.${randomUUID()}`;
  writeFileSync(draft, content, { flag: "wx", mode: 0o600 });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (hasErrorCode(error, "EEXIST")) return false;
    throw error;
  } finally {
    rmSync(draft);
  }
}

/** Removes the file unless it was replaced after `stale` had been read from it. */
function discardStale(path: string, stale: string): void {
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (hasErrorCode(error, "ENOENT")) return;
    throw error;
  }
  // Two starting processes may both find the same dead owner; the slower one must not remove the claim
  // the faster one has made meanwhile.
  if (readIfPossible(aside) !== stale) linkSync(aside, path);
  rmSync(aside);
}
