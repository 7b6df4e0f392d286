// Breaks the service on purpose, one fault at a time, and looks whether the tests notice.
//
//   npm run test:mutants                        all of them
//   npm run test:mutants -- --only "tie-break"  those whose name has this in it
//   npm run test:mutants -- --jobs 2            so many at a time; each has a PostgreSQL of its own
//
// Works on copies in the temporary folder. Ends with 1 when a mutant survives, when it cannot be made (its text is
// no longer in src/, or it does not compile), or when the tests fail on the unmutated copy.
import { spawn } from "node:child_process";
import {
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { mutants } from "./mutants.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const COPIED = [
  ...["src", "db", "test", "examples", "scripts"],
  ...["package.json", "jest.config.js", "tsconfig.json", "tsconfig.build.json"],
  ...[".env.example", "README.md", "SECURITY.md"],
];

/** Many times what the slowest of these tests takes: a mutant that hangs counts as found only if a test says so. */
const PATIENCE_MS = 10 * 60_000;

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    jobs: { type: "string", default: "1" },
  },
});
const chosen = mutants.filter(({ name }) => name.includes(values.only));
if (chosen.length === 0) {
  process.stderr.write(`No mutant's name has "${values.only}" in it.\n`);
  process.exit(1);
}

const folders = [];
process.once("exit", () => {
  for (const folder of folders)
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});
for (const signal of ["SIGINT", "SIGTERM"])
  process.once(signal, () => process.exit(1));

refuseMissingText();
const first = makeTree();
await expectGreen(first);
const trees = [
  first,
  ...Array.from({ length: Number(values.jobs) - 1 }, () => makeTree(first)),
];
const waiting = [...chosen];
const verdicts = [];
await Promise.all(
  trees.map(async (tree) => {
    for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
      const verdict = await judge(tree, mutant);
      verdicts.push(verdict);
      print(verdict);
    }
  }),
);
const bad = verdicts.filter(({ kind }) => kind !== "killed");
say(
  `${String(verdicts.length - bad.length)} killed, ${String(bad.length)} not`,
);
process.exit(bad.length === 0 ? 0 : 1);

/** Before any work: a mutant whose text is gone would be no mutant, and its green test would prove nothing. */
function refuseMissingText() {
  const missing = chosen.flatMap(({ name, edits }) =>
    edits
      .filter(({ file, from }) => occurrences(join(ROOT, file), from) !== 1)
      .map(({ file, from }) => {
        const count = occurrences(join(ROOT, file), from);
        return `${name}: found ${String(count)} times in ${file}, and not once:\n    ${from.trim()}`;
      }),
  );
  if (missing.length === 0) return;
  process.stderr.write(
    `The source has changed under these mutants:\n${missing.join("\n")}\n`,
  );
  process.exit(1);
}

function occurrences(path, text) {
  return readFileSync(path, "utf8").split(text).length - 1;
}

/** @param {string} [built] a tree whose compiled files are taken over */
function makeTree(built) {
  const tree = mkdtempSync(join(tmpdir(), "uqpay-mutants-"));
  folders.push(tree);
  for (const name of COPIED)
    cpSync(join(ROOT, name), join(tree, name), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(tree, "node_modules"));
  if (built !== undefined)
    cpSync(join(built, "dist"), join(tree, "dist"), { recursive: true });
  return tree;
}

/** One run for the files that run whole and one for the titles: a title restricts all files of its run. */
async function expectGreen(tree) {
  say("the unmutated copy");
  const build = await run(tree, ["scripts/build.mjs"]);
  if (build.code !== 0)
    fail("The unmutated copy does not build.", build.output);
  const targets = chosen.flatMap(({ tests }) => tests);
  for (const hasTitles of [false, true]) {
    const group = targets.filter(
      ({ titles }) => (titles !== undefined) === hasTitles,
    );
    if (group.length === 0) continue;
    const { result, output } = await jest(tree, group);
    if (result?.success !== true)
      fail("The tests fail on the unmutated copy.", output);
    say(`    ${String(result.numPassedTests)} tests pass`);
    const idle = group.filter(({ titles }) => !wasRun(result, titles));
    if (idle.length > 0)
      fail(
        `No test has the title: ${idle.map(({ titles }) => titles).join(", ")}`,
        "",
      );
  }
}

function wasRun(result, titles) {
  if (titles === undefined) return true;
  const pattern = new RegExp(titles);
  return result.testResults.some(({ assertionResults }) =>
    assertionResults.some(
      ({ fullName, status }) => status === "passed" && pattern.test(fullName),
    ),
  );
}

async function judge(tree, { name, edits, tests }) {
  const startedAt = performance.now();
  const originals = new Map();
  const verdict = (kind, detail) => ({
    name,
    kind,
    detail,
    seconds: Math.round((performance.now() - startedAt) / 1000),
  });
  try {
    for (const { file, from, to } of edits) {
      const path = join(tree, file);
      const text = readFileSync(path, "utf8");
      if (!originals.has(path)) originals.set(path, text);
      writeFileSync(
        path,
        text.replace(from, () => to),
      );
    }
    const build = await run(tree, ["scripts/build.mjs"]);
    if (build.code !== 0) return verdict("does not compile", build.output);
    const { result, output } = await jest(tree, tests);
    const failed = result?.testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .find(({ status }) => status === "failed");
    if (failed) return verdict("killed", failed.fullName);
    // Neither green nor a failed assertion: a suite that could not run proves nothing.
    if (result?.success !== true) return verdict("not judged", output);
    return verdict("SURVIVED", tests.map(({ file }) => file).join(", "));
  } finally {
    for (const [path, text] of originals) writeFileSync(path, text);
  }
}

async function jest(tree, targets) {
  const outputFile = join(tree, "results.json");
  rmSync(outputFile, { force: true });
  const titles = targets.flatMap(({ titles }) => titles ?? []);
  const { output } = await run(tree, [
    "--experimental-vm-modules",
    "--disable-warning=ExperimentalWarning",
    "node_modules/jest/bin/jest.js",
    "--json",
    `--outputFile=${outputFile}`,
    ...(titles.length > 0 ? ["--testNamePattern", titles.join("|")] : []),
    "--selectProjects",
    ...new Set(targets.map(({ project }) => project)),
    "--runTestsByPath",
    ...new Set(targets.map(({ file }) => file)),
  ]);
  return { result: readResult(outputFile), output };
}

function readResult(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/** Runs Node in the tree, in a group of its own: what it started ends with it. */
function run(cwd, args) {
  const child = spawn(process.execPath, args, {
    cwd,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const endGroup = () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It is gone.
    }
  };
  process.once("exit", endGroup);
  const timer = setTimeout(endGroup, PATIENCE_MS);
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => (output += String(chunk)));
  return new Promise((resolve) => {
    child.once("close", (code) => {
      clearTimeout(timer);
      process.off("exit", endGroup);
      resolve({ code, output });
    });
  });
}

function print({ name, kind, detail, seconds }) {
  const isKilled = kind === "killed";
  say(
    `${isKilled ? "killed" : kind.toUpperCase()}  ${name}  (${String(seconds)} s)\n` +
      `        ${isKilled ? "by: " : ""}${isKilled ? detail : detail.slice(-4_000)}`,
  );
}

function fail(message, output) {
  process.stderr.write(`${message}\n${output.slice(-8_000)}\n`);
  process.exit(1);
}

function say(text) {
  process.stdout.write(`${text}\n`);
}
