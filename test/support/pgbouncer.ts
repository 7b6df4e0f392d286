import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import pg from "pg";
import { findFreePort } from "./redis-server.ts";
import { waitFor } from "./wait-for.ts";

/** Debian has it in sbin. */
const FOLDERS = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin"];

/** Whether this run has a PgBouncer. With CI=true it must have. */
export function hasPgBouncer(): boolean {
  const isThere = findPgBouncer() !== undefined;
  if (!isThere) {
    const missing = "no pgbouncer is on the PATH";
    if (process.env["CI"] === "true")
      throw new Error(`With CI=true no suite may be skipped, but ${missing}.`);
    process.stderr.write(`\n### THE POOLER SUITE IS SKIPPED: ${missing}.\n\n`);
  }
  return isThere;
}

function findPgBouncer(): string | undefined {
  return FOLDERS.map((folder) => join(folder, "pgbouncer")).find((path) =>
    existsSync(path),
  );
}

export interface PgBouncer {
  /** The database's URL, by way of the pooler. */
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** A pooler before a database, with its own defaults but for these settings. */
export async function startPgBouncer(
  databaseUrl: string,
  settings: Readonly<Record<string, string | number>>,
): Promise<PgBouncer> {
  const folder = mkdtempSync(join(tmpdir(), "uqpay-test-pgbouncer-"));
  const port = await findFreePort();
  const {
    hostname,
    port: serverPort,
    username,
    password,
    pathname,
  } = new URL(databaseUrl);
  const all = {
    listen_addr: "127.0.0.1",
    listen_port: port,
    // Each database below says as whom to log in.
    auth_type: "any",
    unix_socket_dir: "",
    ...settings,
  };
  const lines = Object.entries(all).map(
    ([name, value]) => `${name} = ${value}`,
  );
  const file = join(folder, "pgbouncer.ini");
  writeFileSync(
    file,
    `[databases]
* = host=${hostname} port=${serverPort} user=${username} password=${password}
[pgbouncer]
${lines.join("\n")}
`,
  );
  // It refuses to run as root, and then as somebody who must be able to read this.
  chmodSync(folder, 0o755);
  const isRoot = process.getuid?.() === 0;
  const pooler = spawn(findPgBouncer() ?? "", [file], {
    stdio: "ignore",
    ...(isRoot && { uid: 65_534, gid: 65_534 }),
  });
  const ended = new Promise((resolve) => pooler.once("exit", resolve));
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${String(port)}`;
  url.pathname = pathname;
  url.search = "";
  await waitFor(
    async () => {
      if (pooler.exitCode !== null) throw new Error("pgbouncer has ended");
      const client = new pg.Client({ connectionString: url.href });
      try {
        await client.connect();
        await client.query("select 1");
        return true;
      } catch {
        return false;
      } finally {
        await client.end();
      }
    },
    { what: "pgbouncer to answer", timeoutMs: 10_000 },
  );
  return {
    url: url.href,
    stop: async () => {
      pooler.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
