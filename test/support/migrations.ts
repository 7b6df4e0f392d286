import { readFile, readdir } from "node:fs/promises";
import type { Reader } from "./service.ts";

const MIGRATIONS = new URL("../../db/migrations/", import.meta.url);

/** Applies the migrations before the one of this name, which may be given any number, and gives it and what follows. */
export async function migrateUntil(
  reader: Reader,
  name: string,
): Promise<{ readonly finish: () => Promise<void> }> {
  const files = (await readdir(MIGRATIONS)).toSorted();
  const at = files.findIndex((file) => file.endsWith(`_${name}.sql`));
  if (at < 0) throw new Error(`no migration is named ${name}`);
  const run = async (names: readonly string[]) => {
    for (const file of names)
      await reader.rows(await readFile(new URL(file, MIGRATIONS), "utf8"));
  };
  await run(files.slice(0, at));
  return { finish: () => run(files.slice(at)) };
}
