import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Binaries } from "./binaries.ts";
import { SUPERUSER } from "./connection.ts";
import { readIfPossible } from "./processes.ts";
import { shareWithChild, type ServerUser } from "./server-user.ts";

const MAX_LOG_BYTES = 4 * 1024 * 1024;
const LOG_LINES_IN_ERRORS = 15;
const DRAFT_PREFIX = "cluster.new-";
/** PostgreSQL 17 brought the builtin locale provider. */
const FIRST_WITH_BUILTIN = 17;

/** Everything that is kept in the data directory. */
export interface DataDirectory {
  readonly path: string;
  /** PostgreSQL's own files; there only when complete. */
  readonly cluster: string;
  readonly password: string;
  readonly port: string;
  readonly owner: string;
  readonly log: string;
}

/** Creates the directory when it is missing. */
export function openDataDirectory(dataDir: string): DataDirectory {
  const directory = locateDataDirectory(dataDir);
  mkdirSync(directory.path, { recursive: true });
  return directory;
}

export function locateDataDirectory(dataDir: string): DataDirectory {
  const path = resolve(dataDir);
  return {
    path,
    cluster: join(path, "cluster"),
    password: join(path, "password"),
    port: join(path, "port"),
    owner: join(path, "owner.json"),
    log: join(path, "server.log"),
  };
}

/** What the programs work on, and with which rights. */
export interface Cluster {
  readonly directory: DataDirectory;
  readonly binaries: Binaries;
  /** Undefined: the user of this process. */
  readonly user: ServerUser | undefined;
  readonly durable: boolean;
}

/** Creates the cluster when there is none, and returns the superuser's password. */
export async function ensureCluster(cluster: Cluster): Promise<string> {
  const { directory, user } = cluster;
  const exists = existsSync(directory.cluster);
  if (!existsSync(directory.password)) {
    if (exists) {
      throw new Error(
        `${directory.password} is missing, and without it the data beside it cannot be opened: ` +
          `put it back, or remove ${directory.path} to start with an empty database`,
      );
    }
    createPassword(directory.password, user);
  }
  if (!exists) await createCluster(cluster);
  return readFileSync(directory.password, "utf8").trim();
}

/** Empties a log that has grown large. */
export function boundLog(directory: DataDirectory): void {
  if (sizeOfLog(directory) > MAX_LOG_BYTES) truncateSync(directory.log);
}

export function sizeOfLog({ log }: DataDirectory): number {
  return statSync(log, { throwIfNoEntry: false })?.size ?? 0;
}

/** Reads the log from byte `start` on; pass the size before an attempt to get what the attempt has logged. */
export function readLog({ log }: DataDirectory, start: number): string {
  return Buffer.from(readIfPossible(log) ?? "").toString("utf8", start);
}

export function quoteLog(directory: DataDirectory, start: number): string {
  const lines = readLog(directory, start).trimEnd().split("\n");
  const last = lines.slice(-LOG_LINES_IN_ERRORS).map((line) => `  ${line}`);
  return `the end of its log:\n${last.join("\n")}`;
}

/** initdb and the server read the file as the server's user, so it belongs to that user. */
function createPassword(path: string, user: ServerUser | undefined): void {
  writeFileSync(path, `${randomBytes(24).toString("hex")}\n`, {
    flag: "wx",
    mode: 0o600,
  });
  if (user !== undefined) chownSync(path, user.uid, user.gid);
}

/** Works in a draft directory and renames it when complete: an initdb that was interrupted leaves no cluster. */
async function createCluster(cluster: Cluster): Promise<void> {
  const { directory, user } = cluster;
  removeDrafts(directory);
  const draft = mkdtempSync(join(directory.path, DRAFT_PREFIX));
  if (user !== undefined) chownSync(draft, user.uid, user.gid);
  await runInitdb(cluster, draft);
  renameSync(draft, directory.cluster);
  // Again: the initdb of a process that was killed may have found its draft gone before it began, and made it anew. It
  // began before this one, so by now it would find it gone too late for that, and ends.
  removeDrafts(directory);
}

function removeDrafts({ path }: DataDirectory): void {
  const drafts = readdirSync(path).filter((name) =>
    name.startsWith(DRAFT_PREFIX),
  );
  // The initdb of a process that was killed may still be writing there.
  const patiently = { maxRetries: 20, retryDelay: 50 };
  for (const name of drafts)
    rmSync(join(path, name), { recursive: true, force: true, ...patiently });
}

async function runInitdb(cluster: Cluster, draft: string): Promise<void> {
  const { directory } = cluster;
  const logStart = sizeOfLog(directory);
  const child = spawnProgram(
    cluster,
    "initdb",
    [draft, directory.password],
    ([data = "", passwordFile = ""]) => [
      ...["-D", data, `--username=${SUPERUSER}`, `--pwfile=${passwordFile}`],
      ...["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"],
      // The builtin provider sorts the same everywhere, whatever C library or ICU the system has.
      ...(cluster.binaries.major < FIRST_WITH_BUILTIN
        ? []
        : ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]),
      ...["--no-instructions", ...(cluster.durable ? [] : ["--no-sync"])],
    ],
  );
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0)
    throw new Error(
      `could not create the embedded PostgreSQL in ${directory.path}; ${quoteLog(directory, logStart)}`,
    );
}

/**
 * Starts one of PostgreSQL's programs. It writes to the log, and sees nothing of the environment of the service, which
 * holds secrets.
 *
 * @param paths that the program must be able to open
 * @param listArguments given the names by which it can
 */
export function spawnProgram(
  { directory, binaries, user }: Cluster,
  program: "initdb" | "postgres",
  paths: readonly string[],
  listArguments: (names: readonly string[]) => readonly string[],
): ChildProcess {
  // A file and no pipe: a pipe would break, and the server with it, when this process is killed.
  const log = openSync(directory.log, "a", 0o600);
  const shared = shareWithChild(paths, user);
  try {
    return spawn(binaries[program], listArguments(shared.names), {
      ...user,
      cwd: dirname(binaries[program]),
      env: { LC_ALL: "C", TZ: "UTC", PATH: "/usr/bin:/bin" },
      // A process group of its own: Ctrl-C in a terminal signals the whole group of the service, and the database
      // must outlive the draining of the service.
      detached: program === "postgres",
      stdio: ["ignore", log, log, ...shared.descriptors],
      windowsHide: true,
    });
  } finally {
    closeSync(log);
    shared.close();
  }
}
