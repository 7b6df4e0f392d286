import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findBinaries } from "./binaries.ts";
import { claimDataDirectory, type Claim } from "./claim.ts";
import {
  chooseFreePort,
  connectionString,
  ensureDatabase,
  HOST,
  tryLogIn,
} from "./connection.ts";
import {
  boundLog,
  ensureCluster,
  locateDataDirectory,
  openDataDirectory,
  quoteLog,
  readLog,
  sizeOfLog,
  type Cluster,
  type DataDirectory,
} from "./data-directory.ts";
import { readIfPossible } from "./processes.ts";
import { chooseServerUser } from "./server-user.ts";
import {
  spawnServer,
  stopOrphan,
  stopServer,
  type Server,
  type SpawnedServer,
} from "./server.ts";

const DEFAULT_DATABASE = "uqpay_card_sync";
const START_TIMEOUT_MS = 20_000;
const POLL_MS = 20;
const RETRY_MS = 200;

/**
 * PostgreSQL's words for reasons that pass: the last connections of a killed server live a moment longer than
 * the server itself; a server whose owner was killed while starting it wrote its pid file only now.
 */
const NOT_YET_FREE =
  /pre-existing shared memory block|lock file "postmaster.pid" already exists/;
/** Another process took the port after it had been found free: another one helps. */
const PORT_TAKEN = /could not bind/;

const NOT_DURABLE = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
};

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

/**
 * Starts PostgreSQL for development, demo and tests, reachable on 127.0.0.1 only; the database
 * `uqpay_card_sync` exists afterwards. A server that an earlier process left behind is stopped first.
 * @throws Error when the dev dependencies are missing, when a living process uses the data directory, or with
 *   the end of the server's log when the server does not start
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const directory = openDataDirectory(options.dataDir);
  const user = chooseServerUser(directory.cluster);
  const binaries = await findBinaries(user, options.binaries);
  const { durable = true } = options;
  const cluster = { directory, user, binaries, durable };
  const claim = claimDataDirectory(directory.owner, directory.path);
  try {
    boundLog(directory);
    const password = await ensureCluster(cluster);
    return await startServer(cluster, password, options, claim);
  } catch (error) {
    claim.release();
    throw error;
  }
}

async function startServer(
  cluster: Cluster,
  password: string,
  options: EmbeddedPostgresOptions,
  claim: Claim,
): Promise<EmbeddedPostgres> {
  const { server, port } = await launchPersistently(cluster, password, options);
  // For an owner that ends without stop(): nothing asynchronous can be done any more, but this can.
  const stopAtExit = () => server.signal("SIGINT");
  process.once("exit", stopAtExit);
  // Also when the server dies by itself, the directory is free for the next start.
  const ended = server.ended.then(() => {
    process.off("exit", stopAtExit);
    claim.release();
  });
  const stop = () => stopServer(server).then(() => ended);
  try {
    await ensureDatabase(port, password, DEFAULT_DATABASE);
    writeFileSync(cluster.directory.port, `${port}\n`);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: (database = DEFAULT_DATABASE) =>
      connectionString(port, password, database),
    stop,
  };
}

/** Launches the server, and again as long as it fails for a reason that passes. */
async function launchPersistently(
  cluster: Cluster,
  password: string,
  options: EmbeddedPostgresOptions,
): Promise<{ server: SpawnedServer; port: number }> {
  const { directory } = cluster;
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    await stopOrphan(cluster, password);
    const port =
      options.port ?? (await chooseFreePort(readLastPort(directory)));
    const logStart = sizeOfLog(directory);
    const server = await spawnServer(cluster, {
      timezone: "UTC",
      log_timezone: "UTC",
      ...(cluster.durable ? {} : NOT_DURABLE),
      ...options.settings,
      listen_addresses: HOST,
      unix_socket_directories: "",
      port: String(port),
    });
    if (await becomesReady(server, port, password, deadline))
      return { server, port };
    await stopServer(server);
    const log = readLog(directory, logStart);
    const passes =
      NOT_YET_FREE.test(log) ||
      (options.port === undefined && PORT_TAKEN.test(log));
    if (!passes || Date.now() > deadline)
      throw new Error(
        `the embedded PostgreSQL in ${directory.path} does not start; ${quoteLog(directory, logStart)}`,
      );
    await sleep(RETRY_MS);
  }
}

async function becomesReady(
  server: Server,
  port: number,
  password: string,
  deadline: number,
): Promise<boolean> {
  while (!server.hasEnded() && Date.now() < deadline) {
    const answer = await tryLogIn(port, password);
    if (answer === "accepted") return true;
    if (answer === "rejected") return false;
    await sleep(POLL_MS);
  }
  return false;
}

function readLastPort(directory: DataDirectory): number | undefined {
  const port = Number(readIfPossible(directory.port));
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
}

/**
 * The connection string of the server that another process runs on this data directory.
 * @returns undefined when none answers
 */
export async function findRunningPostgres(
  dataDir: string,
): Promise<string | undefined> {
  const directory = locateDataDirectory(dataDir);
  const port = readLastPort(directory);
  const password = readIfPossible(directory.password)?.trim();
  if (port === undefined || password === undefined) return undefined;
  const answer = await tryLogIn(port, password);
  return answer === "accepted"
    ? connectionString(port, password, DEFAULT_DATABASE)
    : undefined;
}
