// Fails when a production dependency has a known vulnerability. `npm audit` alone fails, too, where a registry does
// not answer that question, as many mirrors do not: then this says so loudly, and does not stop what is checked next.
import { spawnSync } from "node:child_process";

const { stdout } = spawnSync("npm", ["audit", "--omit=dev", "--json"], {
  encoding: "utf8",
});
const report = readReport(stdout);

if (report === undefined) {
  process.stdout.write(
    "!!! NOT AUDITED: the registry answers no audit. Run `npm run audit` where one does.\n",
  );
} else {
  const found = Object.entries(report);
  for (const [name, { severity }] of found)
    process.stdout.write(`${name}: ${severity}\n`);
  process.stdout.write(
    `${String(found.length)} vulnerable production dependencies\n`,
  );
  process.exitCode = found.length > 0 ? 1 : 0;
}

/**
 * @param {string} json
 * @returns {Record<string, { severity: string }> | undefined} what is vulnerable; undefined when nobody could say
 */
function readReport(json) {
  try {
    return JSON.parse(json).vulnerabilities;
  } catch {
    return undefined;
  }
}
