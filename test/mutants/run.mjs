// Changes src/domain and src/uqpay one place at a time and lets their unit tests look at each change; fails when fewer
// than 90 % are noticed. What survives, and why, is in README.md. Stryker needs a newer Node.js than the service does,
// so it is no dependency: it is installed into a folder that goes afterwards.
//
//   npm run test:mutants [-- --mutate src/domain/clock.ts]
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const VERSION = "10.0.0";
const OLDEST_NODE = 22;

if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE) {
  process.stderr.write(
    `Stryker needs Node.js ${OLDEST_NODE} or newer, and this is ${process.version}: npx -p node@24 npm run test:mutants\n`,
  );
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), "uqpay-mutants-"));
try {
  process.exitCode = findSurvivors();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function findSurvivors() {
  const packages = ["core", "jest-runner"].map(
    (name) => `@stryker-mutator/${name}@${VERSION}`,
  );
  const install = ["install", "--prefix", folder, "--no-audit", "--no-fund"];
  const installed = run("npm", [...install, ...packages]);
  if (installed !== 0) return installed;
  const modules = join(folder, "node_modules");
  symlinkSync(resolve("node_modules/typescript"), join(modules, "typescript"));
  return run(
    process.execPath,
    [
      join(modules, "@stryker-mutator/core/bin/stryker.js"),
      "run",
      "test/mutants/stryker.config.js",
      ...process.argv.slice(2),
    ],
    {
      JEST_RUNNER: join(
        modules,
        "@stryker-mutator/jest-runner/dist/src/index.js",
      ),
    },
  );
}

function run(command, args, env = {}) {
  const { status } = spawnSync(command, args, {
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  return status ?? 1;
}
