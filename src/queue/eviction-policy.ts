import type { Redis } from "ioredis";

/** The one under which Redis forgets nothing by itself. */
export const KEEPS_EVERYTHING = "noeviction";

/**
 * What Redis does when its memory is full; undefined where it does not say. INFO comes first: managed servers forbid
 * CONFIG, and an access list may forbid either.
 */
export async function readEvictionPolicy(
  client: Redis,
): Promise<string | undefined> {
  return (await readInfo(client)) ?? (await readConfig(client));
}

async function readInfo(client: Redis): Promise<string | undefined> {
  const info = await client.info("memory").catch(() => "");
  return /^maxmemory_policy:([\w-]+)/m.exec(info)?.[1];
}

async function readConfig(client: Redis): Promise<string | undefined> {
  const reply: unknown = await client
    .config("GET", "maxmemory-policy")
    .catch(() => []);
  const policy: unknown = Array.isArray(reply) ? reply[1] : undefined;
  return typeof policy === "string" ? policy : undefined;
}
