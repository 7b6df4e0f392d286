import { createHash } from "node:crypto";
import { once } from "node:events";
import { realpathSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PATIENCE_MS = 3_000;

/**
 * Makes this process the only owner of a data directory. The owner listens on a local socket that is named after the
 * directory: the operating system closes it with the process, however that ends, so no claim is left behind.
 *
 * @returns what gives the directory free again
 * @throws Error naming the owner's pid when a living process owns the directory
 */
export async function claimDataDirectory(dataDir: string): Promise<() => void> {
  const name = nameSocket(realpathSync(dataDir));
  const server = createServer((socket) => {
    socket.on("error", () => undefined); // it asked, and did not wait for the answer
    socket.end(String(process.pid));
  });
  try {
    server.listen(name);
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    const pid = await askForOwner(name);
    if (pid !== undefined) {
      const isOurs = pid === String(process.pid);
      throw new Error(
        `${isOurs ? "this very process" : "another instance"} (pid ${pid}) already uses the embedded PostgreSQL in ` +
          `${dataDir}: stop it first, or set DATABASE_URL to use another database`,
      );
    }
    if (process.platform === "darwin") rmSync(name, { force: true });
    return claimDataDirectory(dataDir);
  }
  server.unref();
  return () => server.close();
}

/** Only on macOS it is a file, which an owner that was killed leaves behind. */
function nameSocket(dataDir: string): string {
  const hash = createHash("sha256").update(dataDir).digest("hex").slice(0, 24);
  const name = `uqpay-card-sync-${hash}`;
  if (process.platform === "win32") return `\\\\.\\pipe\\${name}`;
  return process.platform === "linux" ? `\0${name}` : join(tmpdir(), name);
}

/** @returns its pid; undefined when it has ended */
async function askForOwner(name: string): Promise<string | undefined> {
  const socket = connect(name);
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const [pid] = (await once(socket, "data", { signal })) as [Buffer];
    return pid.toString();
  } catch (error) {
    const isSilent = (error as Error).name === "AbortError";
    return isSilent ? "unknown, it does not answer" : undefined;
  } finally {
    socket.destroy();
  }
}
