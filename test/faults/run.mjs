// Runs the fault suite: Node 20 does not read TypeScript, so this turns test/faults/ and what it needs of
// test/support/ into JavaScript beside the built service, where `../../src/` leads to `dist/src/`.
//
//   node test/faults/run.mjs [--dist FOLDER] [options of run-faults.ts]
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";

const tests = dirname(dirname(fileURLToPath(import.meta.url)));
const args = process.argv.slice(2);
const at = args.indexOf("--dist");
const [, folder = "dist"] = at < 0 ? [] : args.splice(at, 2);
const dist = resolve(folder);

if (!existsSync(join(dist, "src", "service.js"))) {
  process.stderr.write(`${dist} has no built service: npm run build\n`);
  process.exit(1);
}

const sources = [
  ...readdirSync(join(tests, "faults"))
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join("faults", file)),
  join("support", "redis-server.ts"),
];
rmSync(join(dist, "test", "faults"), { recursive: true, force: true });
for (const source of sources) {
  const target = join(dist, "test", source.replace(/\.ts$/, ".js"));
  const { outputText } = ts.transpileModule(
    readFileSync(join(tests, source), "utf8"),
    {
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
    },
  );
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, outputText);
}

const { runFaults } = await import(
  pathToFileURL(join(dist, "test", "faults", "run-faults.js")).href
);
process.exit((await runFaults(args, dist)) ? 0 : 1);
