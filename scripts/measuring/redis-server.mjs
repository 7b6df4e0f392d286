// A Redis of one's own, from the PATH: for what is measured, and for the tests.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect, createServer } from "node:net";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Starts a Redis of one's own on a free port.
 *
 * @param {{ folder: string, undo: (() => unknown)[], settings?: readonly (readonly [string, string])[] }} options
 *   settings: beyond the defaults, such as `["--appendonly", "yes"]`; undo: gets what ends it
 * @returns {Promise<string>} its URL
 */
export async function startRedis({ folder, undo, settings = [] }) {
  const program = findRedisServer();
  if (program === undefined)
    throw new Error("no redis-server or valkey-server is on the PATH");
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const port = String(/** @type {any} */ (probe.address()).port);
  probe.close();
  await once(probe, "close");
  const server = spawn(
    program,
    [
      ["--port", port],
      ["--bind", "127.0.0.1"],
      ["--dir", folder],
      ["--save", ""],
      ["--appendonly", "no"],
      // BullMQ insists on it.
      ["--maxmemory-policy", "noeviction"],
      // Of two values Redis takes the last.
      ...settings,
    ].flat(),
    { stdio: "ignore" },
  );
  const exited = once(server, "exit");
  const kill = () => server.kill("SIGKILL");
  process.once("exit", kill);
  undo.push(async () => {
    process.off("exit", kill);
    kill();
    await exited;
  });
  for (let tries = 0; tries < 200; tries++) {
    const socket = connect(Number(port), "127.0.0.1");
    try {
      await once(socket, "connect");
      return `redis://127.0.0.1:${port}`;
    } catch {
      await sleep(25);
    } finally {
      socket.destroy();
    }
  }
  throw new Error(`${program} does not answer`);
}

/** The first redis-server or valkey-server on the PATH. @returns {string | undefined} */
export function findRedisServer() {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .flatMap((path) =>
      ["redis-server", "valkey-server"].map((name) => join(path, name)),
    )
    .find((path) => existsSync(path));
}
