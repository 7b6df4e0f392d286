import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface KeptDatabase {
  readonly url: string;
  /** Ends it and removes its data, when it is sent SIGTERM. */
  readonly pid: number;
}

/**
 * Gives the demo's database to a process that goes on when this one has ended.
 *
 * @param folder no server may run on it any more
 */
export async function leaveDatabase(folder: string): Promise<KeptDatabase> {
  const keeper = fork(
    fileURLToPath(new URL("keep-database.js", import.meta.url)),
    [folder],
    { cwd: "/", detached: true, stdio: ["ignore", "ignore", "ignore", "ipc"] },
  );
  const url = await new Promise<string>((resolve, reject) => {
    keeper.once(
      "message",
      ({ url, error }: { url?: string; error?: string }) => {
        if (url === undefined) reject(new Error(error));
        else resolve(url);
      },
    );
    keeper.once("error", reject);
    keeper.once("exit", () => {
      reject(new Error("the database that was to be kept has ended"));
    });
  });
  keeper.disconnect();
  keeper.unref();
  return { url, pid: keeper.pid ?? 0 };
}
