import { randomUUID } from "node:crypto";
import { linkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { z } from "zod";
import {
  hasErrorCode,
  identifyRun,
  isRunning,
  readIfPossible,
} from "./processes.ts";

const Owner = z.object({
  pid: z.number().int().positive(),
  run: z.string().optional(),
});

const MAX_ATTEMPTS = 10;

/** The right of this process, and of no other, to run a server in a data directory. */
export interface Claim {
  /** Gives the right up; calling it again, or after somebody else took the directory, changes nothing. */
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
    if (pid !== undefined) throw refuse(pid, dataDir);
    if (existing !== undefined) discardStale(path, existing);
  }
  return {
    release() {
      if (readIfPossible(path) === content) rmSync(path, { force: true });
    },
  };
}

function refuse(pid: number, dataDir: string): Error {
  const who = pid === process.pid ? "this very process" : "another instance";
  return new Error(
    `${who} (pid ${pid}) already uses the embedded PostgreSQL in ${dataDir}: ` +
      `stop it first, or set DATABASE_URL to use another database`,
  );
}

function findLivingOwner(content: string): number | undefined {
  const owner = parseOwner(content);
  if (owner === undefined || !isRunning(owner.pid)) return undefined;
  const run = identifyRun(owner.pid);
  const pidWasReused =
    owner.run !== undefined && run !== undefined && owner.run !== run;
  return pidWasReused ? undefined : owner.pid;
}

function parseOwner(content: string): z.infer<typeof Owner> | undefined {
  try {
    return Owner.parse(JSON.parse(content));
  } catch {
    return undefined;
  }
}

/** Creates the file with all of its content at once, so that nobody ever reads half of it; false when it exists. */
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
