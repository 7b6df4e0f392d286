import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import pg from "pg";
import { hasErrorCode } from "./processes.ts";

export const HOST = "127.0.0.1";
export const SUPERUSER = "postgres";
const INVALID_PASSWORD = "28P01";

/** Connects to the maintenance database as superuser, and closes the connection after `work`. */
async function withConnection(
  port: number,
  password: string,
  work: (client: pg.Client) => Promise<void>,
): Promise<void> {
  const client = new pg.Client({
    host: HOST,
    port,
    user: SUPERUSER,
    password,
    database: "postgres",
    ssl: false,
    connectionTimeoutMillis: 2_000,
  });
  // Without a listener a connection that breaks would end the process.
  client.on("error", () => undefined);
  try {
    await client.connect();
    await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Tells a server that does not (yet) answer from one that does not know this password. */
export async function tryLogIn(
  port: number,
  password: string,
): Promise<"accepted" | "rejected" | "unavailable"> {
  try {
    await withConnection(port, password, () => Promise.resolve());
    return "accepted";
  } catch (error) {
    return hasErrorCode(error, INVALID_PASSWORD) ? "rejected" : "unavailable";
  }
}

export async function ensureDatabase(
  port: number,
  password: string,
  database: string,
): Promise<void> {
  await withConnection(port, password, async (client) => {
    const found = await client.query(
      "SELECT FROM pg_database WHERE datname = $1",
      [database],
    );
    if (found.rowCount === 0)
      await client.query(`CREATE DATABASE ${pg.escapeIdentifier(database)}`);
  });
}

/** `preferred` when it is free, else a port chosen by the operating system. */
export async function chooseFreePort(preferred = 0): Promise<number> {
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

export function connectionString(
  port: number,
  password: string,
  database: string,
): string {
  return `postgres://${SUPERUSER}:${password}@${HOST}:${port}/${encodeURIComponent(database)}?sslmode=disable`;
}
