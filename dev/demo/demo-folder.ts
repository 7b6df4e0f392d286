import { join } from "node:path";

/** Where the demo's PostgreSQL is, in the folder that the demo makes for itself. */
export function demoDataDir(folder: string): string {
  return join(folder, "postgres");
}
