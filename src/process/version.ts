import { readFileSync } from "node:fs";

/** The version in package.json, which lies one folder above `src/` and above `dist/`. */
export function readVersion(): string {
  const found = ["../../package.json", "../../../package.json"]
    .map((path) => readIfThere(new URL(path, import.meta.url)))
    .find((text) => text !== undefined);
  const { version } = JSON.parse(found ?? "{}") as { version?: string };
  return version ?? "unknown";
}

function readIfThere(url: URL): string | undefined {
  try {
    return readFileSync(url, "utf8");
  } catch {
    return undefined;
  }
}
