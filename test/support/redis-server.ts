import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { connect, createServer } from "node:net";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends it, frozen or not, and waits until it is gone. */
  stop(): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

/** The path of a redis-server or valkey-server, if one is on the PATH. */
export function findRedisServer(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return ["redis-server", "valkey-server"]
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find(isExecutable);
}

/** A port that nothing listens on now. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") {
    throw new Error("no port");
  }
  return address.port;
}

/**
 * An empty server that writes nothing to disk; ready when this resolves. The
 * port is for a server that takes the place of another one.
 */
export async function startRedisServer(
  args: readonly string[] = [],
  port?: number,
): Promise<RedisServer> {
  return startOn(port ?? (await findFreePort()), args);
}

async function startOn(
  port: number,
  args: readonly string[],
): Promise<RedisServer> {
  const path = findRedisServer();
  if (path === undefined) throw new Error("no redis-server on the PATH");

  const server = spawn(
    path,
    [
      ["--port", String(port)],
      ["--bind", "127.0.0.1"],
      ["--save", ""],
      ["--appendonly", "no"],
      args,
    ].flat(),
    { stdio: "ignore" },
  );
  const exited = new Promise<void>((resolve) => {
    server.once("exit", () => {
      resolve();
    });
  });
  // A test run that is killed must not leave servers behind.
  const killServer = () => server.kill("SIGKILL");
  process.once("exit", killServer);

  try {
    await answers(server, port);
  } catch (error) {
    server.kill("SIGKILL");
    throw error;
  }
  return {
    url: `redis://127.0.0.1:${String(port)}`,
    port,
    pid: server.pid ?? 0,
    kill: (signal) => {
      server.kill(signal);
    },
    stop: async () => {
      process.off("exit", killServer);
      server.kill("SIGKILL");
      await exited;
    },
  };
}

async function answers(server: ChildProcess, port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (server.exitCode !== null) {
      throw new Error(`redis-server ended with ${String(server.exitCode)}`);
    }
    if (await ping(port)) return;
    await delay(25);
  }
  throw new Error("redis-server does not answer");
}

function ping(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (isUp: boolean) => {
      socket.destroy();
      resolve(isUp);
    };
    socket.once("connect", () => socket.write("PING\r\n"));
    socket.once("data", (data) => {
      // With a password it refuses, but it is there.
      end(/^(\+PONG|-NOAUTH)/.test(data.toString()));
    });
    socket.once("error", () => {
      end(false);
    });
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
