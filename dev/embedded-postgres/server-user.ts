import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync } from "node:fs";

/** The user and group the server runs with, where that is not the user of this process. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/**
 * PostgreSQL refuses to run as root, so root starts it as the user who owns the cluster already, or else as
 * `postgres` or `nobody` (initdb wants a name for its uid). Undefined: run it as the current user.
 */
export function chooseServerUser(cluster: string): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const owner = statSync(cluster, { throwIfNoEntry: false });
  if (owner !== undefined && owner.uid !== 0)
    return { uid: owner.uid, gid: owner.gid };
  const user = findUser("postgres") ?? findUser("nobody");
  if (user === undefined) {
    throw new Error(
      "PostgreSQL does not run as root, and this system has neither a user postgres nor a user nobody: " +
        "set DATABASE_URL, or start this as another user",
    );
  }
  // Owned by root only after someone copied the folder as root.
  if (owner !== undefined)
    spawnSync("chown", ["-hR", `${user.uid}:${user.gid}`, cluster]);
  return user;
}

/** What a child process has to be given so that it can open some files, and the names to open them by. */
export interface SharedPaths {
  readonly names: readonly string[];
  /** For the child's stdio, after the standard three. */
  readonly descriptors: readonly number[];
  close(): void;
}

/**
 * Makes files and directories available to a child with another user id, which may lack the right to pass
 * through their parents (a project under /root, say). Root opens them and the child inherits the descriptors:
 * on Linux /proc/self/fd/<n> leads to the open file itself and not through its parents, and PostgreSQL enters
 * its data directory once and then works with relative names. Only the rights of the files themselves count.
 */
export function shareWithChild(
  paths: readonly string[],
  user: ServerUser | undefined,
): SharedPaths {
  if (user === undefined || process.platform !== "linux") {
    return { names: paths, descriptors: [], close: () => undefined };
  }
  const descriptors = paths.map((path) => openSync(path, "r"));
  return {
    names: descriptors.map((_, index) => `/proc/self/fd/${3 + index}`),
    descriptors,
    close: () => descriptors.forEach((descriptor) => closeSync(descriptor)),
  };
}

function findUser(name: string): ServerUser | undefined {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((candidate) => candidate.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  return uid === undefined || gid === undefined
    ? undefined
    : { uid: Number(uid), gid: Number(gid) };
}
