// Pins every image that Dockerfile and docker-compose.yml name by tag to the digest that the tag has now, or renews the
// digest that stands there: node scripts/pin-images.mjs [--registry URL]
// A tag moves with each release of its base; a digest is exactly what was tried. Nothing is written unless all are found.
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

const FILES = ["Dockerfile", "docker-compose.yml"];
const IMAGE =
  /^(ARG NODE_IMAGE=|\s+image: )([\w./-]+):([\w.-]+)(@sha256:[0-9a-f]{64})?$/gm;

/** An index first: one digest for every architecture. */
const MANIFESTS = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

const { values } = parseArgs({
  options: {
    registry: { type: "string", default: "https://registry-1.docker.io" },
  },
});

try {
  const pinned = await Promise.all(FILES.map(pin));
  for (const { file, text } of pinned) writeFileSync(file, text);
} catch (error) {
  process.stderr.write(`Nothing was pinned: ${describe(error)}\n`);
  process.exitCode = 1;
}

async function pin(file) {
  let text = readFileSync(file, "utf8");
  for (const [line, start, name, tag, before] of text.matchAll(IMAGE)) {
    const digest = await findDigest(name, tag);
    text = text.replace(line, `${start}${name}:${tag}@${digest}`);
    const news = before === `@${digest}` ? "unchanged" : "pinned";
    process.stdout.write(`${file}: ${name}:${tag}@${digest} ${news}\n`);
  }
  return { file, text };
}

async function findDigest(name, tag) {
  const path = name.includes("/") ? name : `library/${name}`;
  const url = new URL(`/v2/${path}/manifests/${tag}`, values.registry);
  const response = await askWithToken(url);
  const digest = response.headers.get("docker-content-digest") ?? "";
  if (!response.ok || !/^sha256:[0-9a-f]{64}$/.test(digest))
    throw new Error(
      `the registry answered ${response.status} for ${name}:${tag}`,
    );
  return digest;
}

async function askWithToken(url) {
  const response = await ask(url, {});
  const challenge = response.headers.get("www-authenticate");
  if (response.status !== 401 || challenge === null) return response;
  const { realm, ...scope } = Object.fromEntries(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [
      key,
      text,
    ]),
  );
  const answer = await fetch(`${realm}?${new URLSearchParams(scope)}`);
  const { token } = await answer.json();
  return ask(url, { authorization: `Bearer ${token}` });
}

function ask(url, headers) {
  return fetch(url, {
    method: "HEAD",
    headers: { accept: MANIFESTS, ...headers },
    signal: AbortSignal.timeout(30_000),
  });
}

function describe(error) {
  return error.cause?.message ?? error.message;
}
