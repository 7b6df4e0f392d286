import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The fenced blocks of this language in a document of this project, as they stand there. */
export function codeBlocksOf(path: string, language: string): string[] {
  const text = readFileSync(
    fileURLToPath(new URL(`../../${path}`, import.meta.url)),
    "utf8",
  );
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, each]) => each === language)
    .map(([, , content = ""]) => content);
}

/** The one of them with this in it. @throws when there is not exactly one */
export function codeBlockWith(
  path: string,
  language: string,
  part: string,
): string {
  const [found, ...others] = codeBlocksOf(path, language).filter((block) =>
    block.includes(part),
  );
  if (found === undefined || others.length > 0)
    throw new Error(`${path} has not one ${language} block with ${part}`);
  return found;
}
