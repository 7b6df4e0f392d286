// Compiles src/, db/ and dev/ to dist/ and puts the SQL migrations and the example events beside them.
// Incremental: a build with nothing to do takes a second, so `npm start` may always build.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, rmSync, symlinkSync } from "node:fs";

const tsc = spawnSync(
  process.execPath,
  ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"],
  { stdio: "inherit" },
);
if (tsc.status !== 0) process.exit(tsc.status ?? 1);

for (const folder of ["db/migrations", "examples"]) {
  rmSync(`dist/${folder}`, { recursive: true, force: true });
  cpSync(folder, `dist/${folder}`, { recursive: true });
}

// What npm does with the `bin` of a package that is installed: `npx uqpay-card-sync` runs what is built here, and looks
// for it nowhere else.
chmodSync("dist/src/cli.js", 0o755);
if (process.platform !== "win32") {
  const link = "node_modules/.bin/uqpay-card-sync";
  mkdirSync("node_modules/.bin", { recursive: true });
  rmSync(link, { force: true });
  symlinkSync("../../dist/src/cli.js", link);
}
