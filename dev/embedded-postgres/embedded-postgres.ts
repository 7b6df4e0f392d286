import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { claimDataDirectory } from "./claim.ts";
import { findPrograms, HERE, runProgram, type Programs } from "./programs.ts";

const HOST = "127.0.0.1";
const SUPERUSER = "postgres";
const DEFAULT_DATABASE = "uqpay_card_sync";
const INVALID_PASSWORD = "28P01";
const DRAFT_PREFIX = "cluster.new-";
/** PostgreSQL 17 brought the builtin locale provider. */
const FIRST_WITH_BUILTIN = 17;
/** The initdb of a process that was killed may still be writing there. */
const PATIENTLY = { recursive: true, maxRetries: 20, retryDelay: 50 };
const LOG_LINES_IN_ERRORS = 15;
const CONNECT_TIMEOUT_MS = 10_000;
const START_TIMEOUT_MS = 20_000;
const RETRY_MS = 200;

/**
 * PostgreSQL's words for reasons that pass: the last connections of a killed server live a moment longer than
 * the server itself; another process took the port after it had been found free.
 */
const PASSES = /pre-existing shared memory block|could not bind/;

/** Where the PostgreSQL of `npm start` keeps everything. */
export function developmentDataDir(folder: string): string {
  return join(folder, ".data", "postgres");
}

/** A running PostgreSQL server of this process. */
export interface EmbeddedPostgres {
  /** The connection string, password included, of a database that need not exist yet. */
  url(database?: string): string;
  /** Ends the connections and the server, and waits until it has ended. May be called more than once. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Holds everything: data, password, log. Created when missing; used by one process at a time. */
  dataDir: string;
  /** False trades the data's survival of a power failure for speed, for tests. Default: true. */
  durable?: boolean;
  /** Further server settings, by their names in postgresql.conf. Address and port cannot be set here. */
  settings?: Readonly<Record<string, string>>;
  /** The folder of the package that has PostgreSQL's programs. Default: the one that is installed here. */
  binaries?: string;
  /** Default: the port used the last time if it is free, else one chosen by the operating system. */
  port?: number;
}

interface Home extends EmbeddedPostgresOptions {
  readonly durable: boolean;
  readonly programs: Programs;
}

/**
 * Starts PostgreSQL for development, demo and tests, reachable on 127.0.0.1 only; the database
 * `uqpay_card_sync` exists afterwards. A server that an earlier process left behind is stopped first.
 *
 * @throws Error when the dev dependencies are missing, when a living process uses the data directory, or with
 *   the end of the server's log when the server does not start
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir);
  const programs = findPrograms(options.binaries);
  const home = { durable: true, ...options, dataDir, programs };
  mkdirSync(dataDir, { recursive: true });
  const release = await claimDataDirectory(dataDir);
  try {
    await ensureCluster(home);
    const port = await startServer(home);
    const password = readPassword(dataDir);
    await ensureDatabase(connectionString(port, password, "postgres"));
    writeFileSync(join(dataDir, "port"), `${port}\n`);
    const pgCtl = join(programs.bin, "pg_ctl");
    const where = { ...programs.user, cwd: clusterOf(dataDir) };
    // Nothing asynchronous can be done any more by then.
    const stopAtExit = () => spawnSync(pgCtl, [...STOP, "--no-wait"], where);
    process.once("exit", stopAtExit);
    const stop = async () => {
      await stopServer(home);
      process.off("exit", stopAtExit);
      release();
    };
    let stopped: Promise<void> | undefined;
    return {
      url: (database = DEFAULT_DATABASE) =>
        connectionString(port, password, database),
      // Once: later the directory may belong to another process.
      stop: () => (stopped ??= stop()),
    };
  } catch (error) {
    await stopServer(home);
    release();
    throw error;
  }
}

/**
 * The connection string of the server that runs on this data directory, whichever process has started it.
 *
 * @returns undefined when none answers
 */
export async function findRunningPostgres(
  dataDir: string,
): Promise<string | undefined> {
  const pidFile = readIfThere(pidFileOf(dataDir));
  if (pidFile === undefined) return undefined;
  const [, , , port] = pidFile.split("\n");
  const password = readPassword(dataDir);
  const url = connectionString(Number(port), password, DEFAULT_DATABASE);
  return (await isAnswered(url)) ? url : undefined;
}

const clusterOf = (dataDir: string) => join(dataDir, "cluster");
const pidFileOf = (dataDir: string) => join(dataDir, "cluster/postmaster.pid");
const readPassword = (dataDir: string) =>
  readFileSync(join(dataDir, "password"), "utf8").trim();

/** A server that ends takes its files away at any moment. */
function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Creates the cluster when there is none, in a draft: an initdb that was interrupted leaves no cluster. */
async function ensureCluster(home: Home): Promise<void> {
  const { dataDir } = home;
  if (!existsSync(clusterOf(dataDir))) {
    const password = randomBytes(24).toString("hex");
    const file = join(dataDir, "password");
    writeFileSync(file, `${password}\n`, { mode: 0o600 });
    const draft = mkdtempSync(join(dataDir, DRAFT_PREFIX));
    await initialise(home, draft);
    renameSync(draft, clusterOf(dataDir));
  }
  for (const name of readdirSync(dataDir))
    if (name.startsWith(DRAFT_PREFIX)) rmSync(join(dataDir, name), PATIENTLY);
}

async function initialise(
  { dataDir, programs, durable }: Home,
  cwd: string,
): Promise<void> {
  const options = [
    ...["-D", HERE, `--username=${SUPERUSER}`, "--pwfile=../password"],
    ...["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"],
    "--no-instructions",
  ];
  // This provider sorts the same everywhere, whatever C library or ICU the system has.
  if (programs.major >= FIRST_WITH_BUILTIN)
    options.push("--locale-provider=builtin", "--builtin-locale=C.UTF-8");
  if (!durable) options.push("--no-sync");
  const where = { programs, dataDir, cwd };
  const { succeeded, log } = await runProgram("initdb", options, where);
  if (!succeeded)
    throw new Error(
      `could not create the embedded PostgreSQL in ${dataDir}; ${quote(log)}`,
    );
}

function quote(log: string): string {
  const lines = log.trimEnd().split("\n").slice(-LOG_LINES_IN_ERRORS);
  return `the end of its log:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}

/**
 * Starts the server, and again as long as it fails for a reason that passes.
 *
 * @returns its port
 */
async function startServer(home: Home): Promise<number> {
  const { dataDir, programs } = home;
  await stopServer(home);
  // The pid of a killed server may belong to another process by now, and PostgreSQL would take that for the server.
  rmSync(pidFileOf(dataDir), { force: true });
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const port = home.port ?? (await chooseFreePort(readLastPort(dataDir)));
    const settings = {
      timezone: "UTC",
      log_timezone: "UTC",
      ...(home.durable
        ? {}
        : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
      ...home.settings,
      listen_addresses: HOST,
      unix_socket_directories: "",
      port: String(port),
    };
    const flags = Object.entries(settings).map(
      ([name, value]) => `-c "${name}=${value}"`,
    );
    const { succeeded, log } = await runProgram(
      "pg_ctl",
      ["start", "-D", HERE, "--silent", "-o", flags.join(" ")],
      { programs, dataDir, cwd: clusterOf(dataDir) },
    );
    if (succeeded) return port;
    if (!PASSES.test(log) || Date.now() > deadline)
      throw new Error(
        `the embedded PostgreSQL in ${dataDir} does not start; ${quote(log)}`,
      );
    await sleep(RETRY_MS);
  }
}

const STOP = ["stop", "-D", HERE, "--silent"];

/**
 * Stops the server of this data directory if one runs: gently, and at once if that takes long.
 *
 * @throws Error when it still runs
 */
async function stopServer({ dataDir, programs }: Home): Promise<void> {
  const where = { programs, dataDir, cwd: clusterOf(dataDir) };
  for (const mode of ["fast", "immediate"]) {
    if ((await findRunningPostgres(dataDir)) === undefined) return;
    await runProgram("pg_ctl", [...STOP, "-m", mode, "-t", "10"], where);
  }
  if ((await findRunningPostgres(dataDir)) !== undefined)
    throw new Error(`the embedded PostgreSQL in ${dataDir} does not stop`);
}

function readLastPort(dataDir: string): number {
  return Number(readIfThere(join(dataDir, "port")) ?? 0);
}

/** `preferred` when it is free, else a port chosen by the operating system. */
async function chooseFreePort(preferred = 0): Promise<number> {
  const probe = createServer();
  try {
    probe.listen(preferred, HOST);
    await once(probe, "listening");
  } catch (error) {
    if (preferred === 0) throw error;
    return chooseFreePort();
  }
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}

/** True for the server with this password, also while it starts, stops or has no connection left. */
async function isAnswered(url: string): Promise<boolean> {
  try {
    await query(url, "select");
    return true;
  } catch (error) {
    return error instanceof pg.DatabaseError && error.code !== INVALID_PASSWORD;
  }
}

async function ensureDatabase(url: string): Promise<void> {
  const found = await query(
    url,
    `select from pg_database where datname = '${DEFAULT_DATABASE}'`,
  );
  if (found.length === 0)
    await query(url, `create database ${DEFAULT_DATABASE}`);
}

async function query(url: string, text: string): Promise<object[]> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // Without a listener a connection that breaks would end the process.
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query<object>(text)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function connectionString(
  port: number,
  password: string,
  database: string,
): string {
  return `postgres://${SUPERUSER}:${password}@${HOST}:${port}/${encodeURIComponent(database)}?sslmode=disable`;
}
