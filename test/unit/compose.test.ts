import { spawnSync } from "node:child_process";
import {
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import * as dclint from "dclint";
import { parse } from "yaml";
import { loadConfig } from "../../src/config.ts";
import { codeBlockWith } from "../support/markdown.ts";

const text = read("docker-compose.yml");
const compose = parse(text, { merge: true }) as Compose;

interface ComposeService {
  readonly image: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly secrets?: readonly string[];
  readonly ports?: readonly string[];
  readonly mem_limit?: string;
  readonly stop_grace_period?: string;
  readonly logging?: { readonly options: Readonly<Record<string, string>> };
  readonly command?: string;
}

interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
}

const services = Object.entries(compose.services);
const cardSync = compose.services["card-sync"] ?? { image: "" };

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "uqpay-compose-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function read(path: string): string {
  return readFileSync(
    fileURLToPath(new URL(`../../${path}`, import.meta.url)),
    "utf8",
  );
}

/** Its own types name files without their extension, which nobody finds here. */
const { DCLinter } = dclint as unknown as {
  readonly DCLinter: new (config: object) => {
    readonly lintFiles: (
      paths: readonly string[],
      recursive: boolean,
    ) => readonly {
      readonly messages: readonly { rule: string; message: string }[];
    }[];
  };
};

/** What the schema of the Compose specification, which dclint brings, says against it. */
function faultsOf(content: string): string[] {
  const path = join(folder, "docker-compose.yml");
  writeFileSync(path, content);
  const linter = new DCLinter({
    rules: {},
    quiet: false,
    debug: false,
    exclude: [],
  });
  const [result] = linter.lintFiles([path], false);
  if (result === undefined) throw new Error("the file was not looked at");
  // dclint's rules of taste are not ours; what is no Compose file has one of these.
  return result.messages
    .filter(({ rule }) => /^(invalid|unknown)-/.test(rule))
    .map(({ message }) => message);
}

/** With Compose's `${NAME:-default}`, where nothing is set. */
function interpolate(value: string): string {
  return value.replace(
    /\$\{\w+:-([^}]*)\}/g,
    (_all, fallback: string) => fallback,
  );
}

function seconds(duration: string | undefined): number {
  return Number(/^(\d+)s$/.exec(duration ?? "")?.[1]);
}

describe("docker-compose.yml", () => {
  test("is what the Compose specification allows", () => {
    expect(faultsOf(text)).toEqual([]);
  });

  test.each([
    ["of the file", "\nvolumes:", "\nvolume:"],
    ["of a service", "stop_grace_period: 60s", "stop_grace_time: 60s"],
    ["that services share", "security_opt:", "security_opts:"],
    ["of a health check", "start_period:", "start_delay:"],
    ["of the logs", "driver: json-file", "drivr: json-file"],
    ["of a condition", "condition: service_healthy", "when: service_healthy"],
    ["of a secret", "database_url: { file:", "database_url: { path:"],
  ])("would not pass with a misspelt key %s", (_where, right, wrong) => {
    const misspelt = text.replace(right, wrong);

    expect(misspelt).not.toBe(text);
    expect(faultsOf(misspelt)).not.toEqual([]);
  });

  test("gives the service a configuration that it accepts, with the secrets that docs/deploy.md makes", () => {
    const commands = codeBlockWith("docs/deploy.md", "sh", "mkdir -m 700");
    const made = spawnSync("sh", ["-euc", `umask 077\n${commands}`], {
      cwd: folder,
      encoding: "utf8",
    });
    const environment = Object.fromEntries(
      Object.entries(cardSync.environment ?? {}).map(([name, value]) => [
        name,
        interpolate(value),
      ]),
    );
    const fileOf = (path: string) => join(folder, path.replace("/run/", ""));

    const config = loadConfig(
      { NODE_ENV: "production", ...environment },
      (path) => readFileSync(fileOf(path), "utf8"),
    );

    expect(made).toMatchObject({ status: 0, stderr: "" });
    expect(config).toMatchObject({
      http: { host: "0.0.0.0", port: 3000, opsPort: 9090 },
      queue: { redisUrl: "redis://redis:6379" },
      webhook: { secrets: ["whsec_from_the_dashboard"] },
    });
    const password = readFileSync(
      join(folder, "secrets/postgres_password"),
      "utf8",
    );
    expect(config.postgres.url).toBe(
      `postgres://uqpay:${password}@postgres:5432/uqpay`,
    );
    for (const { file } of Object.values(compose.secrets))
      expect(statSync(join(folder, file)).mode & 0o777).toBe(0o644);
  });

  test("names no variable that .env.example does not know", () => {
    const known = [...read(".env.example").matchAll(/^#? ?([A-Z_]+)=/gm)].map(
      ([, name]) => name,
    );

    expect(known).toEqual(
      expect.arrayContaining(Object.keys(cardSync.environment ?? {})),
    );
  });

  test("has no secret in an environment, and mounts every file that it names", () => {
    for (const [, { environment = {}, secrets = [] }] of services) {
      const files = Object.values(environment)
        .filter((value) => value.startsWith("/run/secrets/"))
        .map((value) => value.replace("/run/secrets/", ""));

      expect(files).toEqual(secrets);
      expect(Object.keys(compose.secrets)).toEqual(
        expect.arrayContaining([...secrets]),
      );
      for (const name of Object.keys(environment))
        expect(name).not.toMatch(/(SECRET|PASSWORD|TOKEN|DATABASE_URL)$/);
    }
  });

  test.each(services)(
    "limits what %s may take of memory and write of logs",
    (_name, { mem_limit, logging }) => {
      expect(mem_limit).toMatch(/^\d+[mg]$/);
      expect(logging?.options).toMatchObject({
        "max-size": expect.stringMatching(/^\d+m$/),
        "max-file": expect.stringMatching(/^\d+$/),
      });
    },
  );

  test.each(services)(
    "opens no port of %s to the network",
    (_name, { ports }) => {
      for (const port of ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
    },
  );

  test("waits longer for a stop than the service takes for one", () => {
    const config = loadConfig({
      NODE_ENV: "production",
      DATABASE_URL: "postgres://postgres/uqpay",
      UQPAY_WEBHOOK_SECRET: "whsec_test",
    });

    expect(seconds(cardSync.stop_grace_period) * 1_000).toBeGreaterThan(
      config.shutdownDelayMs + config.shutdownTimeoutMs,
    );
  });

  test("lets Redis refuse before its container's limit ends it", () => {
    const redis = compose.services["redis"];

    expect(redis?.command).toContain("--maxmemory-policy noeviction");
    expect(
      Number(/--maxmemory (\d+)mb/.exec(redis?.command ?? "")?.[1]),
    ).toBeLessThan(Number.parseInt(redis?.mem_limit ?? "0"));
  });
});

describe("the Dockerfile", () => {
  const dockerfile = read("Dockerfile");
  const { version } = JSON.parse(read("package.json")) as { version: string };

  test("labels the image with the version that package.json has", () => {
    expect(dockerfile).toContain(`ARG VERSION=${version}\n`);
    expect(dockerfile).toContain(
      'org.opencontainers.image.version="${VERSION}"',
    );
  });

  test("names its base once, where it can be pinned", () => {
    expect(dockerfile.match(/^FROM .*/gm)).toEqual([
      "FROM ${NODE_IMAGE} AS build",
      "FROM ${NODE_IMAGE} AS dependencies",
      "FROM ${NODE_IMAGE}",
    ]);
    expect(dockerfile).toMatch(
      /^ARG NODE_IMAGE=node:\d+-[\w-]+(@sha256:[0-9a-f]{64})?$/m,
    );
  });
});
