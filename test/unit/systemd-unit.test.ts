import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "@jest/globals";
import { loadConfig } from "../../src/config.ts";
import { findProgram, runProgram } from "../support/programs.ts";

const unit = readFileSync(
  fileURLToPath(
    new URL("../../deploy/uqpay-card-sync.service", import.meta.url),
  ),
  "utf8",
);

function valueOf(name: string): string {
  return new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1] ?? "";
}

// systemd is not everywhere, and no package of a container brings it.
const describeWithSystemd =
  findProgram("systemd-analyze") === undefined ? describe.skip : describe;

describeWithSystemd(
  "deploy/uqpay-card-sync.service on a machine with systemd",
  () => {
    test("is understood without a warning", () => {
      const folder = mkdtempSync(join(tmpdir(), "uqpay-unit-"));
      const path = join(folder, "uqpay-card-sync.service");
      // Another Node.js may be the one of this machine.
      writeFileSync(path, unit.replace("/usr/bin/node", process.execPath));

      const said = runProgram("sh", [
        "-c",
        `systemd-analyze verify ${path} 2>&1`,
      ]);
      rmSync(folder, { recursive: true });

      expect(said).toBe("");
    });
  },
);

describe("deploy/uqpay-card-sync.service", () => {
  test("gives the service the time that its ordered stop takes", () => {
    const { shutdownDelayMs, shutdownTimeoutMs } = loadConfig({
      NODE_ENV: "production",
      DATABASE_URL: "postgres://postgres/uqpay",
      UQPAY_WEBHOOK_SECRET: "whsec_test",
    });

    expect(valueOf("KillSignal")).toBe("SIGTERM");
    expect(
      Number(/^(\d+)s$/.exec(valueOf("TimeoutStopSec"))?.[1]) * 1_000,
    ).toBeGreaterThan(shutdownDelayMs + shutdownTimeoutMs);
  });

  test("takes the secrets from a file, and has none in it", () => {
    expect(valueOf("EnvironmentFile")).toBe("/etc/uqpay-card-sync/environment");
    expect(valueOf("Environment")).toBe("NODE_ENV=production HOST=127.0.0.1");
  });
});
