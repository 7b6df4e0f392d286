import { describe, expect, test } from "@jest/globals";
import { Redis } from "ioredis";
import { aStatusUpdate, deliver } from "../support/deliveries.ts";
import { makeFolder, removeFolder } from "../support/process.ts";
import type { RedisServer } from "../support/redis-server.ts";
import { findFreePort, startRedisServer } from "../support/redis-server.ts";
import type { TestService } from "../support/service.ts";
import { isAvailable, startTestService } from "../support/service.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { waitFor } from "../support/wait-for.ts";

/** A hint is given up after 2 s: an answer that waited for the queue would take longer than that. */
const ANSWER_WITHIN_MS = 1_900;
/** The grace of a hint, a few sweeps, and the queue's own time-outs. */
const APPLIED_WITHIN_MS = 15_000;
const LIMIT_MS = 60_000;

type Act = (admin: Redis) => Promise<unknown>;

const describeWithRedis = isAvailable("redis") ? describe : describe.skip;

/** What one test has running. */
interface Stage {
  redis?: RedisServer;
  service?: TestService;
}

/** A test with servers of its own, which end with it. */
function onStage<Args extends unknown[]>(
  play: (stage: Stage, ...args: Args) => Promise<void>,
) {
  return async (...args: Args) => {
    const stage: Stage = {};
    try {
      await play(stage, ...args);
    } finally {
      await stage.service?.stop();
      await stage.redis?.stop();
    }
  };
}

async function startOn(stage: Stage, port: number): Promise<TestService> {
  const service = await startTestService({
    queue: "redis",
    env: { REDIS_URL: `redis://127.0.0.1:${port}` },
  });
  stage.service = service;
  // The first answer of a process also pays for its first connections, which is not what is measured here.
  await deliver(service, aStatusUpdate());
  return service;
}

/** Delivers events, a few at a time, each of which must be answered 200 and soon. */
async function deliverSome(target: TestService, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += 10) {
    const answers = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const startedAt = performance.now();
        const { status } = await deliver(target, aStatusUpdate());
        return { status, tookMs: performance.now() - startedAt };
      }),
    );
    const slowestMs = Math.max(...answers.map(({ tookMs }) => tookMs));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(slowestMs).toBeLessThan(ANSWER_WITHIN_MS);
  }
}

const readiness = async (target: TestService) => {
  const response = await fetch(`${target.baseUrl}/readyz`);
  const { status, queue } = (await response.json()) as {
    status: string;
    queue: { status: string };
  };
  return `${response.status} ${status}, queue ${queue.status}`;
};

const untilReady = (target: TestService, expected: string) =>
  waitFor(async () => (await readiness(target)) === expected, {
    what: expected,
  });

const processed = async (target: TestService) => {
  const rows = await target.rows(
    "select state, count(*)::int as count from webhook_events group by 1",
  );
  return Object.fromEntries(
    rows.map((row) => [String(row["state"]), row["count"]]),
  );
};

/** By hints: sooner than the sweep could find them. */
const untilHintsWork = (target: TestService) =>
  waitFor(
    async () => {
      await deliverSome(target, 10);
      await target.untilApplied(2_500);
      return true;
    },
    { what: "events to be applied by their hints", timeoutMs: 20_000 },
  );

describeWithRedis("a service whose Redis goes away", () => {
  test(
    "starts without it, takes events in and applies them, and uses it once it is there",
    onStage(async (stage) => {
      const port = await findFreePort();
      const target = await startOn(stage, port);

      await deliverSome(target, 50);
      const withoutRedis = await readiness(target);
      await target.untilApplied(APPLIED_WITHIN_MS);
      stage.redis = await startRedisServer([], port);
      await untilReady(target, "200 ready, queue up");
      await deliverSome(target, 50);
      // Sooner than the sweep could find them: by their hints.
      await target.untilApplied(2_500);

      expect(withoutRedis).toBe("200 degraded, queue down");
      expect(await processed(target)).toEqual({ processed: 101 });
    }),
    LIMIT_MS,
  );

  test(
    "goes on without it, and with it when it comes back empty",
    onStage(async (stage) => {
      stage.redis = await startRedisServer();
      const { port } = stage.redis;
      const target = await startOn(stage, port);
      await deliverSome(target, 20);
      await target.untilApplied();

      await stage.redis.stop();
      await deliverSome(target, 100);
      await untilReady(target, "200 degraded, queue down");
      await target.untilApplied(APPLIED_WITHIN_MS);
      const whileAway = await processed(target);
      stage.redis = await startRedisServer([], port);
      await untilReady(target, "200 ready, queue up");
      await waitFor(
        async () => {
          await deliverSome(target, 10);
          await target.untilApplied(2_500);
          return true;
        },
        { what: "events to be applied by their hints", timeoutMs: 20_000 },
      );

      expect(whileAway).toEqual({ processed: 121 });
    }),
    LIMIT_MS,
  );

  test(
    "answers and applies while Redis is there and says nothing, and afterwards",
    onStage(async (stage) => {
      stage.redis = await startRedisServer();
      const target = await startOn(stage, stage.redis.port);
      await deliverSome(target, 10);
      await target.untilApplied();

      stage.redis.kill("SIGSTOP");
      await deliverSome(target, 50);
      await target.untilApplied(APPLIED_WITHIN_MS);
      stage.redis.kill("SIGCONT");
      await untilReady(target, "200 ready, queue up");
      await deliverSome(target, 10);
      await target.untilApplied(APPLIED_WITHIN_MS);

      expect(await processed(target)).toEqual({ processed: 71 });
    }),
    LIMIT_MS,
  );

  test(
    "stops in time while it is away",
    onStage(async (stage) => {
      const target = await startOn(stage, await findFreePort());
      await deliverSome(target, 10);

      const startedAt = performance.now();
      await target.stop();
      delete stage.service;

      expect(performance.now() - startedAt).toBeLessThan(10_000);
    }),
    LIMIT_MS,
  );
  test(
    "loses no event when it goes in the middle of the traffic",
    onStage(async (stage) => {
      stage.redis = await startRedisServer();
      const target = await startOn(stage, stage.redis.port);

      const traffic = deliverSome(target, 300);
      await waitFor(
        async () =>
          (await target.rows("select 1 from webhook_events limit 50"))
            .length === 50,
        { what: "traffic" },
      );
      await stage.redis.stop();
      await traffic;
      await target.untilApplied(APPLIED_WITHIN_MS);

      expect(await processed(target)).toEqual({ processed: 301 });
    }),
    LIMIT_MS,
  );

  test(
    "finds every event again whose hint was flushed away",
    onStage(async (stage) => {
      stage.redis = await startRedisServer();
      const target = await startOn(stage, stage.redis.port);
      const client = new Redis(stage.redis.url);

      const traffic = deliverSome(target, 300);
      for (let time = 0; time < 20; time++) {
        const [before] = await target.rows(
          "select count(*)::int as count from webhook_events",
        );
        await client.flushall();
        await waitFor(
          async () => {
            const [now] = await target.rows(
              "select count(*)::int as count from webhook_events",
            );
            return (
              Number(now?.["count"]) > Number(before?.["count"]) ||
              Number(now?.["count"]) === 301
            );
          },
          { what: "traffic" },
        );
      }
      await traffic;
      client.disconnect();
      await target.untilApplied(APPLIED_WITHIN_MS);

      expect(await processed(target)).toEqual({ processed: 301 });
    }),
    LIMIT_MS,
  );
});

describeWithRedis("a service whose Redis is there and of no use", () => {
  test(
    "follows its address from a Redis that has become a replica to the one that took over",
    onStage(async (stage) => {
      // What a replica gets it writes to its folder.
      const folder = await makeFolder();
      stage.redis = await startRedisServer(["--dir", folder]);
      const next = await startRedisServer(["--dir", folder]);
      const proxy = await startTcpProxy(stage.redis.url);
      const before = new Redis(stage.redis.url);
      try {
        const target = await startOn(stage, Number(new URL(proxy.url).port));
        await target.untilApplied();

        // What is connected stays where it is, and is answered READONLY.
        await before.replicaof("127.0.0.1", next.port);
        proxy.redirect(next.url);
        await deliverSome(target, 50);
        await target.untilApplied(APPLIED_WITHIN_MS);
        await untilReady(target, "200 ready, queue up");
        await untilHintsWork(target);

        expect(Object.keys(await processed(target))).toEqual(["processed"]);
      } finally {
        before.disconnect();
        await proxy.close();
        await next.stop();
        await removeFolder(folder);
      }
    }),
    LIMIT_MS,
  );

  test.each<[string, Act, Act]>([
    [
      "is a replica of one that is gone",
      (admin) => admin.replicaof("127.0.0.1", 1),
      (admin) => admin.replicaof("NO", "ONE"),
    ],
    [
      "has no memory left",
      (admin) => admin.config("SET", "maxmemory", "1"),
      (admin) => admin.config("SET", "maxmemory", "0"),
    ],
    [
      "wants a password",
      async (admin) => {
        await admin.config("SET", "requirepass", "secret");
        await admin.call("CLIENT", "KILL", "TYPE", "normal");
      },
      (admin) => admin.config("SET", "requirepass", ""),
    ],
    [
      "has lost its replicas",
      (admin) => admin.config("SET", "min-replicas-to-write", "1"),
      (admin) => admin.config("SET", "min-replicas-to-write", "0"),
    ],
    [
      "cannot save",
      async (admin) => {
        // Its folder is gone: there is nowhere to save to.
        await admin.config("SET", "save", "1 1");
        await admin.bgsave();
        await waitFor(
          async () =>
            /last_bgsave_status:err/.test(await admin.info("persistence")),
          { what: "the saving to fail" },
        );
      },
      (admin) => admin.config("SET", "save", ""),
    ],
  ])(
    "goes on without a Redis that %s, says so, and uses it again afterwards",
    onStage(async (stage, _: string, breakIt: Act, mendIt: Act) => {
      const folder = await makeFolder();
      stage.redis = await startRedisServer(["--dir", folder]);
      await removeFolder(folder);
      const admin = new Redis(stage.redis.url);
      try {
        const target = await startOn(stage, stage.redis.port);
        await target.untilApplied();

        await breakIt(admin);
        await deliverSome(target, 50);
        await untilReady(target, "200 degraded, queue down");
        await target.untilApplied(APPLIED_WITHIN_MS);
        const during = await processed(target);
        await mendIt(admin);
        await untilReady(target, "200 ready, queue up");
        await untilHintsWork(target);

        expect(during).toEqual({ processed: 51 });
      } finally {
        admin.disconnect();
      }
    }),
    LIMIT_MS,
  );
});
