import { spawn } from "node:child_process";
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
import { readIfPossible } from "./processes.ts";
import { shareWithChild, type ServerUser } from "./server-user.ts";

const MAX_LOG_BYTES = 4 * 1024 * 1024;
const LOG_LINES_IN_ERRORS = 15;
const DRAFT_PREFIX = "cluster.new-";

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

/** What PostgreSQL's programs get to see of the environment: nothing of the service's, which holds secrets. */
export const PROGRAM_ENVIRONMENT = {
  LC_ALL: "C",
  TZ: "UTC",
  PATH: "/usr/bin:/bin",
};

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

/** Creates the cluster when there is none, and returns the superuser's password. */
export async function ensureCluster(
  directory: DataDirectory,
  binaries: Binaries,
  user: ServerUser | undefined,
  durable: boolean,
): Promise<string> {
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
  if (!exists) await createCluster(directory, binaries, user, durable);
  return readFileSync(directory.password, "utf8").trim();
}

export function openLog(path: string): number {
  return openSync(path, "a", 0o600);
}

/** Empties a log that has grown large. */
export function boundLog(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > MAX_LOG_BYTES) truncateSync(path);
}

/** Reads the log from byte `start` on; pass the size before an attempt to get what the attempt has logged. */
export function readLog(path: string, start: number): string {
  return Buffer.from(readIfPossible(path) ?? "")
    .subarray(start)
    .toString("utf8");
}

export function quoteLog(text: string): string {
  const lines = text.trimEnd().split("\n").slice(-LOG_LINES_IN_ERRORS);
  return `the end of its log:\n${lines.map((line) => `  ${line}`).join("\n")}`;
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
async function createCluster(
  directory: DataDirectory,
  binaries: Binaries,
  user: ServerUser | undefined,
  durable: boolean,
): Promise<void> {
  removeDrafts(directory);
  const draft = mkdtempSync(join(directory.path, DRAFT_PREFIX));
  if (user !== undefined) chownSync(draft, user.uid, user.gid);
  await runInitdb(directory, draft, binaries, user, durable);
  renameSync(draft, directory.cluster);
  // Again: the initdb of a process that was killed may have found its draft gone before it began, and made it anew. It
  // began before this one, so by now it would find it gone too late for that, and ends.
  removeDrafts(directory);
}

function removeDrafts(directory: DataDirectory): void {
  for (const entry of readdirSync(directory.path)) {
    if (entry.startsWith(DRAFT_PREFIX))
      // The initdb of a process that was killed may still be writing there.
      rmSync(join(directory.path, entry), {
        recursive: true,
        force: true,
        maxRetries: 20,
        retryDelay: 50,
      });
  }
}

async function runInitdb(
  directory: DataDirectory,
  draft: string,
  binaries: Binaries,
  user: ServerUser | undefined,
  durable: boolean,
): Promise<void> {
  const log = openLog(directory.log);
  const logStart = statSync(directory.log).size;
  const shared = shareWithChild([draft, directory.password], user);
  try {
    const [data = draft, password = directory.password] = shared.names;
    const child = spawn(
      binaries.initdb,
      initdbArguments(data, password, durable, binaries.major),
      {
        ...user,
        cwd: dirname(binaries.initdb),
        env: PROGRAM_ENVIRONMENT,
        stdio: ["ignore", log, log, ...shared.descriptors],
        windowsHide: true,
      },
    );
    const [code] = (await once(child, "exit")) as [number | null];
    if (code !== 0) {
      throw new Error(
        `could not create the embedded PostgreSQL in ${directory.path}; ` +
          quoteLog(readLog(directory.log, logStart)),
      );
    }
  } finally {
    closeSync(log);
    shared.close();
  }
}

function initdbArguments(
  data: string,
  passwordFile: string,
  durable: boolean,
  major: number,
): string[] {
  return [
    ...[
      "-D",
      data,
      "--username=postgres",
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
    ],
    // The builtin provider sorts the same everywhere, whatever C library or ICU the system has.
    ...[
      "--encoding=UTF8",
      "--locale=C",
      // Not before PostgreSQL 17.
      ...(major < 17
        ? []
        : ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]),
    ],
    ...["--no-instructions", ...(durable ? [] : ["--no-sync"])],
  ];
}
