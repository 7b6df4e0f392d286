import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Servers stand there on Debian, and a user's PATH does not name these. */
const SERVER_FOLDERS = ["/usr/sbin", "/usr/local/sbin"];

/** The path of a program of this machine. */
export function findProgram(name: string): string | undefined {
  return [...(process.env["PATH"] ?? "").split(delimiter), ...SERVER_FOLDERS]
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/**
 * Whether the programs that a suite needs, and that are not the project's, are all there. Says loudly when not.
 *
 * @throws with CI=true when one is missing
 */
export function haveAll(programs: readonly string[]): boolean {
  const missing = programs.filter((name) => findProgram(name) === undefined);
  if (missing.length === 0) return true;
  const reason = `not on the PATH: ${missing.join(", ")}`;
  if (process.env["CI"] === "true")
    throw new Error(`With CI=true no suite may be skipped, but ${reason}.`);
  process.stderr.write(`\n### TESTS ARE SKIPPED: ${reason} ###\n\n`);
  return false;
}

/** Runs a program to its end. @throws with what it wrote when it fails */
export function runProgram(
  command: string,
  args: readonly string[],
  options: {
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): string {
  const { PATH, HOME } = process.env;
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    ...options,
    env: { PATH, HOME, ...options.env },
    encoding: "utf8",
  });
  if (error !== undefined) throw error;
  if (status !== 0)
    throw new Error(
      `${command} ended with ${String(status)}: ${stderr}${stdout}`,
    );
  return stdout;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
