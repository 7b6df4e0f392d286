import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";

const SCRIPT = fileURLToPath(
  new URL("../../scripts/pin-images.mjs", import.meta.url),
);
const OLD = `sha256:${"0".repeat(64)}`;
const NEW = `sha256:${"a1".repeat(32)}`;

let folder: string;
let registry: Server;
let url: string;
let known: readonly string[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "uqpay-pin-"));
  known = ["library/node:24-slim", "library/redis:8", "some/thing:1"];
  registry = createServer((request, response) => {
    const asked = new URL(request.url ?? "", url);
    if (asked.pathname === "/token") {
      const scope = asked.searchParams.get("scope");
      response.end(JSON.stringify({ token: `for ${scope ?? ""}` }));
      return;
    }
    const [, path = "", tag = ""] =
      /^\/v2\/(.+)\/manifests\/(.+)$/.exec(asked.pathname) ?? [];
    const scope = `repository:${path}:pull`;
    if (request.headers.authorization !== `Bearer for ${scope}`) {
      response.setHeader(
        "WWW-Authenticate",
        `Bearer realm="${url}/token",service="test",scope="${scope}"`,
      );
      response.writeHead(401).end();
      return;
    }
    if (!known.includes(`${path}:${tag}`)) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader("Docker-Content-Digest", NEW);
    response.writeHead(200).end();
  }).listen(0, "127.0.0.1");
  await once(registry, "listening");
  url = `http://127.0.0.1:${String((registry.address() as AddressInfo).port)}`;
});

afterEach(async () => {
  registry.closeAllConnections();
  registry.close();
  await once(registry, "close");
  rmSync(folder, { recursive: true, force: true });
});

async function pin(dockerfile: string, compose: string) {
  writeFileSync(join(folder, "Dockerfile"), dockerfile);
  writeFileSync(join(folder, "docker-compose.yml"), compose);
  const child = spawn(process.execPath, [SCRIPT, "--registry", url], {
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk) => (stderr += String(chunk)));
  const [code] = (await once(child, "close")) as [number];
  return {
    code,
    stderr,
    dockerfile: readFileSync(join(folder, "Dockerfile"), "utf8"),
    compose: readFileSync(join(folder, "docker-compose.yml"), "utf8"),
  };
}

describe("scripts/pin-images.mjs", () => {
  test("adds to each image the digest that its tag has, and renews one that is there", async () => {
    const pinned = await pin(
      "ARG NODE_IMAGE=node:24-slim\nFROM ${NODE_IMAGE}\n",
      `services:\n  a:\n    image: redis:8@${OLD}\n  b:\n    image: some/thing:1\n  c:\n    image: built-here\n`,
    );

    expect(pinned).toEqual({
      code: 0,
      stderr: "",
      dockerfile: `ARG NODE_IMAGE=node:24-slim@${NEW}\nFROM \${NODE_IMAGE}\n`,
      compose: `services:\n  a:\n    image: redis:8@${NEW}\n  b:\n    image: some/thing:1@${NEW}\n  c:\n    image: built-here\n`,
    });
  });

  test("writes nothing when the registry does not know one of them", async () => {
    const dockerfile = "ARG NODE_IMAGE=node:24-slim\n";
    const compose = "  a:\n    image: gone:1\n";

    expect(await pin(dockerfile, compose)).toEqual({
      code: 1,
      stderr: "Nothing was pinned: the registry answered 404 for gone:1\n",
      dockerfile,
      compose,
    });
  });
});
