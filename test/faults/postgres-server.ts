import { randomUUID } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { EmbeddedPostgres } from "../../dev/embedded-postgres/embedded-postgres.ts";
import { startEmbeddedPostgres } from "../../dev/embedded-postgres/embedded-postgres.ts";

/** Room for two instances on either queue and for what instances that were killed leave behind for a moment. */
const MAX_CONNECTIONS = 60;
/** A busy machine is slow; only a server that is down for good fails the suite. */
const ADMIN_TIMEOUT_MS = 30_000;

/** A real PostgreSQL, durable, with everything that can happen to it. */
export interface PostgresServer {
  /** A database that belongs to the role under which the service connects, which is no superuser. */
  readonly createDatabase: (name: string) => Promise<string>;
  /** The superuser's connection string. */
  readonly adminUrl: (database: string) => string;
  /** Immediate shutdown, as in a crash: recovery at the next start. */
  readonly crash: (downMs: number) => Promise<void>;
  /** The server's main process is killed; the others notice and end. */
  readonly kill: (downMs: number) => Promise<void>;
  /** All its processes stand still. */
  readonly freeze: (durationMs: number) => Promise<void>;
  /** It stands still most of the time. */
  readonly slowDown: (durationMs: number) => Promise<void>;
  readonly cutConnections: (database: string) => Promise<void>;
  /** Nobody can write to a table. */
  readonly lockTable: (
    database: string,
    table: string,
    durationMs: number,
  ) => Promise<void>;
  /** Every connection that is left is taken, and the service's are cut, so that it must ask for new ones. */
  readonly exhaustConnections: (
    database: string,
    durationMs: number,
  ) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export async function startPostgresServer(
  dataDir: string,
  { durable = true, maxConnections = MAX_CONNECTIONS } = {},
): Promise<PostgresServer> {
  let port: number | undefined;
  const start = async (): Promise<EmbeddedPostgres> => {
    const started = await startEmbeddedPostgres({
      dataDir,
      durable,
      ...(port !== undefined && { port }),
      settings: {
        max_connections: String(maxConnections),
        log_min_messages: "fatal",
      },
    });
    port = Number(new URL(started.url()).port);
    return started;
  };
  let server = await start();
  const password = randomUUID();
  await asAdmin(server.url("postgres"), (admin) =>
    admin.query(`create role service login password '${password}'`),
  );

  const mainPid = () =>
    Number(
      readFileSync(join(dataDir, "cluster", "postmaster.pid"), "utf8").split(
        "\n",
      )[0],
    );
  const breakDown = async (signal: NodeJS.Signals, downMs: number) => {
    const pid = mainPid();
    process.kill(pid, signal);
    await server.stop(); // has only to wait
    await sleep(downMs);
    server = await start();
  };
  const freeze = async (durationMs: number) => {
    const pid = mainPid();
    process.kill(pid, "SIGSTOP"); // first, so that it starts no further process
    const all = [pid, ...childrenOf(pid)];
    signalAll(all, "SIGSTOP");
    await sleep(durationMs);
    signalAll(all.toReversed(), "SIGCONT");
  };
  const serviceUrl = (database: string) => {
    const url = new URL(server.url(database));
    url.username = "service";
    url.password = password;
    return url.href;
  };

  return {
    adminUrl: (database) => server.url(database),
    createDatabase: async (name) => {
      await asAdmin(server.url("postgres"), (admin) =>
        admin.query(`create database ${name} owner service`),
      );
      return serviceUrl(name);
    },
    crash: (downMs) => breakDown("SIGQUIT", downMs),
    kill: (downMs) => breakDown("SIGKILL", downMs),
    freeze,
    slowDown: async (durationMs) => {
      const end = Date.now() + durationMs;
      while (Date.now() < end) {
        await freeze(150);
        await sleep(50);
      }
    },
    cutConnections: (database) =>
      asAdmin(server.url("postgres"), (admin) => cut(admin, database)),
    lockTable: (database, table, durationMs) =>
      asAdmin(server.url(database), async (admin) => {
        await admin.query(`begin; lock table ${table} in exclusive mode`);
        await sleep(durationMs);
        await admin.query("commit");
      }),
    exhaustConnections: (database, durationMs) =>
      asAdmin(server.url("postgres"), async (admin) => {
        const hogs: pg.Client[] = [];
        try {
          await takeAll(serviceUrl(database), hogs);
          await cut(admin, database, "uqpay%");
          await takeAll(serviceUrl(database), hogs);
          await sleep(durationMs);
        } finally {
          await Promise.all(hogs.map((hog) => hog.end()));
        }
      }),
    stop: () => server.stop(),
  };
}

async function cut(
  admin: pg.Client,
  database: string,
  application = "%",
): Promise<void> {
  await admin.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = $1 and pid <> pg_backend_pid() and application_name like $2`,
    [database, application],
  );
}

async function takeAll(url: string, hogs: pg.Client[]): Promise<void> {
  while (hogs.length < MAX_CONNECTIONS) {
    const hog = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: ADMIN_TIMEOUT_MS,
    });
    hog.on("error", () => undefined);
    try {
      await hog.connect();
    } catch {
      return;
    }
    hogs.push(hog);
  }
}

export async function asAdmin<Result>(
  url: string,
  work: (admin: pg.Client) => Promise<Result>,
): Promise<Result> {
  const admin = await connectAsAdmin(url);
  try {
    return await work(admin);
  } finally {
    await admin.end().catch(() => undefined);
  }
}

const TOO_MANY_CONNECTIONS = "53300";

/**
 * After a freeze all instances connect at once, and a connection takes its place before PostgreSQL knows whether it is
 * one of those that it keeps for a superuser: so even this one may find none for a moment.
 */
async function connectAsAdmin(url: string): Promise<pg.Client> {
  const deadline = Date.now() + ADMIN_TIMEOUT_MS;
  for (;;) {
    const admin = new pg.Client({
      connectionString: url,
      application_name: "fault suite",
      connectionTimeoutMillis: ADMIN_TIMEOUT_MS,
      options: "-c timezone=UTC",
    });
    admin.on("error", () => undefined);
    try {
      await admin.connect();
      return admin;
    } catch (error) {
      await admin.end().catch(() => undefined);
      const { code } = error as { code?: string };
      if (code !== TOO_MANY_CONNECTIONS || Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent);
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined; // it has ended meanwhile
  }
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended meanwhile.
    }
  }
}
