import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import pg from "pg";
import { findProgram } from "./programs.ts";
import { findFreePort } from "./redis-server.ts";
import { waitFor } from "./wait-for.ts";

const PROGRAMS = ["initdb", "postgres", "pg_dump", "pg_restore", "psql"];

/**
 * Where this machine has PostgreSQL's server together with its pg_dump, which takes no server newer than itself; the
 * embedded one comes without.
 */
export function findSystemPostgres(): string | undefined {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian) : [];
  const onPath = findProgram("pg_dump");
  return [
    ...versions
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => join(debian, version, "bin")),
    ...(onPath === undefined ? [] : [dirname(onPath)]),
  ].find((folder) => PROGRAMS.every((name) => existsSync(join(folder, name))));
}

export interface SystemPostgres {
  /** Makes an empty database, and gives its URL. */
  readonly createDatabase: (name: string) => Promise<string>;
  readonly stop: () => Promise<void>;
}

/** @param folder of its own, for its data */
export async function startSystemPostgres(
  programs: string,
  folder: string,
): Promise<SystemPostgres> {
  const user = serverUser();
  const data = join(folder, "data");
  mkdirSync(data);
  if (user !== undefined) {
    chownSync(folder, user.uid, user.gid);
    chownSync(data, user.uid, user.gid);
  }
  const options = { ...user, cwd: folder };
  const made = spawnSync(
    join(programs, "initdb"),
    ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
    { ...options, encoding: "utf8" },
  );
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
  const port = String(await findFreePort());
  const settings = [
    `port=${port}`,
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
  ].flatMap((setting) => ["-c", setting]);
  const server = spawn(join(programs, "postgres"), ["-D", data, ...settings], {
    ...options,
    stdio: "ignore",
  });
  const ended = once(server, "exit");
  const urlOf = (name: string) =>
    `postgres://postgres@127.0.0.1:${port}/${name}`;
  await waitFor(() => ask(urlOf("postgres"), "select 1"), {
    what: "PostgreSQL to answer",
    timeoutMs: 30_000,
  });
  return {
    createDatabase: async (name) => {
      await ask(
        urlOf("postgres"),
        `create database ${name} template template0`,
      );
      return urlOf(name);
    },
    stop: async () => {
      server.kill("SIGINT");
      await ended;
    },
  };
}

async function ask(url: string, text: string): Promise<true> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
    return true;
  } finally {
    await client.end();
  }
}

/** PostgreSQL refuses to run as root. */
function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = (flag: string) =>
    Number(spawnSync("id", [flag, "postgres"], { encoding: "utf8" }).stdout);
  return { uid: idOf("-u"), gid: idOf("-g") };
}
