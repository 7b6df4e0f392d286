import { mkdirSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import type { RedisServer } from "../support/redis-server.ts";
import { startRedisServer } from "../support/redis-server.ts";

/** A real Redis that keeps its data on disk, with everything that can happen to it. */
export interface RedisUnderTest {
  readonly url: string;
  readonly kill: (downMs: number, keepsData: boolean) => Promise<void>;
  readonly freeze: (durationMs: number) => Promise<void>;
  readonly flush: () => Promise<void>;
  /** Full, with `noeviction`: every write is refused. */
  readonly fill: (durationMs: number) => Promise<void>;
  readonly stop: () => Promise<void>;
}

const FILLER = "filler";
const ROOM_BYTES = 1_000_000;

export async function startRedisUnderTest(
  folder: string,
): Promise<RedisUnderTest> {
  mkdirSync(folder, { recursive: true });
  const args = ["--dir", folder, "--appendonly", "yes"];
  let server: RedisServer = await startRedisServer(args);
  const { url, port } = server;

  return {
    url,
    kill: async (downMs, keepsData) => {
      await server.stop();
      await sleep(downMs);
      if (!keepsData) {
        rmSync(folder, { recursive: true, force: true });
        mkdirSync(folder, { recursive: true });
      }
      server = await startRedisServer(args, port);
    },
    freeze: async (durationMs) => {
      server.kill("SIGSTOP");
      await sleep(durationMs);
      server.kill("SIGCONT");
    },
    flush: () => withClient(url, (client) => client.flushall()),
    fill: (durationMs) =>
      withClient(url, async (client) => {
        await client.config("SET", "maxmemory-policy", "noeviction");
        await client.config(
          "SET",
          "maxmemory",
          (await usedMemory(client)) + ROOM_BYTES,
        );
        await writeUntilFull(client);
        await sleep(durationMs);
        await client.del(FILLER);
        await client.config("SET", "maxmemory", 0);
      }),
    stop: () => server.stop(),
  };
}

async function withClient(
  url: string,
  work: (client: Redis) => Promise<unknown>,
): Promise<void> {
  const client = new Redis(url, { maxRetriesPerRequest: 3 });
  client.on("error", () => undefined);
  try {
    await work(client);
  } finally {
    client.disconnect();
  }
}

async function usedMemory(client: Redis): Promise<number> {
  const info = await client.info("memory");
  return Number(/used_memory:(\d+)/.exec(info)?.[1]);
}

async function writeUntilFull(client: Redis): Promise<void> {
  const chunk = "x".repeat(10_000);
  for (let written = 0; written < 10 * ROOM_BYTES; written += chunk.length) {
    try {
      await client.append(FILLER, chunk);
    } catch (error) {
      if (String(error).includes("OOM")) return;
      throw error;
    }
  }
  throw new Error("Redis does not become full");
}
