import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import pg from "pg";
import { hasErrorCode } from "./processes.ts";

export const HOST = "127.0.0.1";
export const SUPERUSER = "postgres";
const INVALID_PASSWORD = "28P01";

/** Connects to the maintenance database as superuser, and closes the connection after `work`. */
async function withConnection<T>(
  port: number,
  password: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
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
    return await work(client);
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
    return await withConnection(port, password, () =>
      Promise.resolve("accepted" as const),
    );
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

/** `preferred` when nobody listens there, else a port chosen by the operating system. */
export async function chooseFreePort(
  preferred: number | undefined,
): Promise<number> {
  return (
    (preferred === undefined ? undefined : await tryPort(preferred)) ??
    (await takeAnyPort())
  );
}

async function takeAnyPort(): Promise<number> {
  const port = await tryPort(0);
  if (port === undefined) throw new Error(`no free port on ${HOST}`);
  return port;
}

async function tryPort(port: number): Promise<number | undefined> {
  const probe = createServer();
  try {
    probe.listen(port, HOST);
    await once(probe, "listening");
  } catch {
    return undefined;
  }
  const address = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return address.port;
}
