import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  jest,
  test,
} from "@jest/globals";
import { Redis } from "ioredis";
import pg from "pg";
import {
  createEventQueue,
  type EventQueue,
} from "../../src/queue/event-queue.ts";
import {
  createEventWorker,
  type EventJob,
} from "../../src/queue/event-worker.ts";
import {
  migrateQueue,
  type QueueConnection,
} from "../../src/queue/queue-connection.ts";
import type { HintJob } from "../../src/queue/bullmq.ts";
import { createErrorReporter } from "../../src/roles/error-reporter.ts";
import { openRedisWorker } from "../../src/queue/redis-backend.ts";
import {
  findFreePort,
  findRedisServer,
  type RedisServer,
  startRedisServer,
} from "../support/redis-server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

jest.setTimeout(30_000);

const redisUrl = process.env["TEST_REDIS_URL"];
const describeRedis = redisUrl === undefined ? describe.skip : describe;
const describeOwnRedis =
  redisUrl === undefined || findRedisServer() === undefined
    ? describe.skip
    : describe;

/** Whatever a test opens, closed after it in reverse order. */
const toClose: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close();
});

const backends = [
  {
    name: "PostgreSQL",
    describeBackend: describe,
    open: openPostgres,
  },
  {
    name: "Redis",
    describeBackend: describeRedis,
    open: openSharedRedis,
  },
];

for (const { name, describeBackend, open } of backends) {
  describeBackend(`the queue on ${name}`, () => {
    let backend: Backend;

    beforeAll(async () => {
      backend = await open();
    });
    beforeEach(async () => {
      await backend.empty();
    });
    afterAll(async () => {
      await backend.close();
    });

    test("ids come out as they went in, oldest first", async () => {
      const queue = openQueue(backend.connection);
      await queue.enqueue({ eventIds: ["a:1", "2", "é"], name: "batch" });
      await queue.enqueue({
        eventIds: ["b"],
        name: "card.update.succeeded",
      });
      await queue.enqueue({
        eventIds: ["c"],
        name: "again",
        oneByOne: true,
      });

      const jobs = collectJobs(backend.connection);

      await eventually(() => {
        expect(jobs).toEqual([
          { eventIds: ["a:1", "2", "é"], oneByOne: false },
          { eventIds: ["b"], oneByOne: false },
          { eventIds: ["c"], oneByOne: true },
        ]);
      });
    });

    test("a job holds the ids and nothing else", async () => {
      const queue = openQueue(backend.connection);

      await queue.enqueue({ eventIds: ["a"], name: "one" });
      await queue.enqueue({
        eventIds: ["b"],
        name: "two",
        oneByOne: true,
      });
      await queue.enqueue({
        eventIds: ["c"],
        name: "three",
        oneByOne: false,
      });

      expect(await backend.storedData()).toEqual([
        { eventIds: ["a"] },
        { eventIds: ["b"], oneByOne: true },
        { eventIds: ["c"] },
      ]);
    });

    test("a hint wakes an idle worker", async () => {
      const jobs = collectJobs(backend.connection);
      const queue = openQueue(backend.connection);
      await queue.enqueue({ eventIds: ["first"], name: "t" });
      await eventually(() => {
        expect(jobs).toHaveLength(1);
      });

      const hintedAt = Date.now();
      await queue.enqueue({ eventIds: ["second"], name: "t" });
      await eventually(() => {
        expect(jobs).toHaveLength(2);
      });

      // It looks for itself every 5 s only.
      expect(Date.now() - hintedAt).toBeLessThan(2_000);
    });

    test("a job that fails does not stop the next one and leaves nothing behind", async () => {
      const queue = openQueue(backend.connection);
      await queue.enqueue({ eventIds: ["bad"], name: "t" });
      await queue.enqueue({ eventIds: ["good"], name: "t" });

      const log = createMemoryLog();
      const jobs = collectJobs(backend.connection, {
        log,
        work: ({ eventIds }) =>
          eventIds.includes("bad")
            ? Promise.reject(new Error("secret of the row"))
            : Promise.resolve(),
      });

      await eventually(async () => {
        expect(jobs.map(({ eventIds }) => eventIds[0])).toEqual([
          "bad",
          "good",
        ]);
        expect(await backend.countJobs()).toBe(0);
      });
      expect(log.lines.map(({ message }) => message)).toEqual(["job failed"]);
      expect(await backend.dump()).not.toContain("secret of the row");
    });

    test("a delayed hint comes later and does not count as waiting", async () => {
      const queue = openQueue(backend.connection);
      const jobs = collectJobs(backend.connection);
      const hintedAt = Date.now();
      await queue.enqueue({
        eventIds: ["later"],
        name: "t",
        delayMs: 700,
      });
      const waitingAt = await queue.oldestWaitingAt();
      await queue.enqueue({ eventIds: ["now"], name: "t" });

      await eventually(() => {
        expect(jobs).toHaveLength(2);
      });

      expect(jobs.map(({ eventIds }) => eventIds[0])).toEqual(["now", "later"]);
      expect(Date.now() - hintedAt).toBeGreaterThanOrEqual(700);
      expect(waitingAt).toBeUndefined();
    });

    test("the age of the queue is that of its oldest waiting job", async () => {
      const queue = openQueue(backend.connection);
      const emptyAt = await queue.oldestWaitingAt();
      const addedAt: number[] = [];
      for (const id of ["a", "b", "c"]) {
        addedAt.push(Date.now());
        await queue.enqueue({ eventIds: [id], name: "t" });
        await delay(20);
      }

      const whileAllWait = await queue.oldestWaitingAt();
      const gate = createGate();
      const jobs = collectJobs(backend.connection, { work: () => gate.opened });
      await eventually(() => {
        expect(jobs).toHaveLength(1);
      });
      const whileFirstIsActive = await queue.oldestWaitingAt();
      gate.open();

      expect(emptyAt).toBeUndefined();
      expect(indexOfLastBefore(whileAllWait, addedAt)).toBe(0);
      expect(indexOfLastBefore(whileFirstIsActive, addedAt)).toBe(1);
      await eventually(async () => {
        expect(await queue.oldestWaitingAt()).toBeUndefined();
      });
    });

    test("a hint that was delayed is as old as the end of its delay", async () => {
      const queue = openQueue(backend.connection);
      const hintedAt = Date.now();
      await queue.enqueue({ eventIds: ["a"], name: "t", delayMs: 400 });
      await queue.enqueue({ eventIds: ["b"], name: "t", delayMs: 400 });
      // From here on: the second was perhaps placed later, and its delay ends later.
      await delay(450);

      // The worker's look for work makes both waiting and takes one of them.
      const gate = createGate();
      const jobs = collectJobs(backend.connection, { work: () => gate.opened });
      await eventually(() => {
        expect(jobs).toHaveLength(1);
      });
      const oldest = await queue.oldestWaitingAt();
      gate.open();

      expect(oldest?.getTime()).toBeGreaterThanOrEqual(hintedAt + 400);
    });

    test("closing a worker waits for its job", async () => {
      const queue = openQueue(backend.connection);
      const gate = createGate();
      let finished = false;
      const started = createGate();
      const worker = createEventWorker(
        backend.connection,
        async () => {
          started.open();
          await gate.opened;
          finished = true;
        },
        { concurrency: 1, ...silent },
      );
      await queue.enqueue({ eventIds: ["a"], name: "t" });
      await started.opened;

      const closed = worker.close();
      await delay(100);
      const finishedBefore = finished;
      gate.open();
      await closed;

      expect(finishedBefore).toBe(false);
      expect(finished).toBe(true);
      expect(await backend.countJobs()).toBe(0);
    });

    test("the job of a killed worker comes back, one by one", async () => {
      const queue = openQueue(backend.connection);
      const timing = { lockDurationMs: 1_000, stalledIntervalMs: 500 };
      const child = startWorkerProcess(backend.connection, timing);
      await queue.enqueue({ eventIds: ["a", "b"], name: "t" });
      await child.hasJob;

      child.process.kill("SIGKILL");
      const killedAt = Date.now();
      const jobs = collectJobs(backend.connection, { timing });

      await eventually(() => {
        expect(jobs).toEqual([{ eventIds: ["a", "b"], oneByOne: true }]);
      });
      // The interval twice: jobs are marked in one check and taken in the next.
      expect(Date.now() - killedAt).toBeLessThan(1_000 + 2 * 500 + 500);
      await eventually(async () => {
        expect(await backend.countJobs()).toBe(0);
      });
    });

    test("BullMQ's event stream stays short", async () => {
      const queue = openQueue(backend.connection);
      const jobs = collectJobs(backend.connection);

      for (let i = 0; i < 300; i += 1) {
        await queue.enqueue({ eventIds: [String(i)], name: "t" });
      }
      await eventually(() => {
        expect(jobs).toHaveLength(300);
      });

      // Four events a job; trimmed in chunks of up to 256.
      expect(await backend.countStreamEntries()).toBeLessThan(400);
    });
  });
}

describe("a session of the queue on PostgreSQL", () => {
  test("commits a hint without waiting for the disk", async () => {
    const backend = await openPostgres();
    toClose.unshift(() => backend.close());
    await backend.watchSettings();

    await openQueue(backend.connection).enqueue({
      eventIds: ["a"],
      name: "t",
    });

    expect(await backend.seenSettings()).toMatchObject([
      { synchronous_commit: "off" },
    ]);
  });

  test("has what the options in DATABASE_URL set, and finds BullMQ's functions", async () => {
    const backend = await openPostgres();
    toClose.unshift(() => backend.close());
    const url = new URL(backend.connection.url);
    url.searchParams.set("options", "-c work_mem=4321kB");
    const connection = { ...backend.connection, url: url.href };
    await backend.watchSettings();
    const queue = openQueue(connection);
    const jobs = collectJobs(connection);

    await queue.enqueue({ eventIds: ["b"], name: "t" });

    await eventually(() => {
      expect(jobs).toEqual([{ eventIds: ["b"], oneByOne: false }]);
    });
    expect(await backend.seenSettings()).toEqual([
      { synchronous_commit: "off", work_mem: "4321kB" },
    ]);
  });
});

describe("the queue on PostgreSQL, when things go wrong", () => {
  let backend: PostgresBackend;

  beforeAll(async () => {
    backend = await openPostgres();
  });
  afterAll(async () => {
    await backend.close();
  });

  test("without its schema it says so, and works once that is there", async () => {
    const fresh = await createDatabase();
    toClose.push(fresh.drop);
    const connection = { kind: "postgres", url: fresh.url } as const;
    const queue = openQueue(connection);
    const jobs = collectJobs(connection);
    await expect(queue.ping()).rejects.toThrow(/not initialized/);
    await expect(queue.enqueue({ eventIds: ["a"], name: "t" })).rejects.toThrow(
      /not initialized/,
    );

    await Promise.all([1, 2, 3].map(() => migrateQueue(connection)));
    await queue.enqueue({ eventIds: ["b"], name: "t" });

    await eventually(async () => {
      expect(jobs).toEqual([{ eventIds: ["b"], oneByOne: false }]);
      expect(await queue.oldestWaitingAt()).toBeUndefined();
      const { rows } = await fresh.query("select 1 from bullmq.job");
      expect(rows).toEqual([]);
    });
  });

  test("a server that appears after the start is used within three seconds", async () => {
    const port = await findFreePort();
    const url = new URL(backend.connection.url);
    url.host = `127.0.0.1:${String(port)}`;
    const connection = { kind: "postgres", url: url.href } as const;
    const queue = openQueue(connection);
    const log = createMemoryLog();
    const jobs = collectJobs(connection, { log });
    await expect(queue.ping()).rejects.toThrow("ECONNREFUSED");
    await eventually(() => {
      expect(log.lines).toHaveLength(1);
    });

    await startProxy(backend.connection.url, undefined, port);
    const startedAt = Date.now();
    await eventually(() => queue.enqueue({ eventIds: ["a"], name: "t" }));

    await eventually(async () => {
      expect(jobs).toEqual([{ eventIds: ["a"], oneByOne: false }]);
      expect(await backend.countJobs()).toBe(0);
    });
    expect(Date.now() - startedAt).toBeLessThan(3_000);
  });

  test("after its connections were cut it goes on by itself", async () => {
    const queue = openQueue(backend.connection);
    const jobs = collectJobs(backend.connection);
    await queue.enqueue({ eventIds: ["before"], name: "t" });
    await eventually(async () => {
      expect(await backend.countJobs()).toBe(0);
    });

    await backend.cutConnections();
    await eventually(() => queue.enqueue({ eventIds: ["after"], name: "t" }));

    await eventually(() => {
      expect(jobs.map(({ eventIds }) => eventIds[0])).toContain("after");
    }, 4_000);
  });
});

describe("a server that ends right behind its queue and worker on PostgreSQL", () => {
  test("is not told of: they had closed", async () => {
    const backend = await openPostgres();
    toClose.unshift(() => backend.close());
    let isListening = false;
    let ended = 0;
    const url = await startProxy(backend.connection.url, () => ({
      sent: (chunk, client) => {
        isListening ||= chunk.includes("LISTEN");
        if (!chunk.equals(TERMINATE)) return;
        client.once("close", () => ended++); // when the other side has read it
        client.end(FATAL);
      },
    }));
    const connection = { kind: "postgres", url } as const;
    const log = createMemoryLog();
    const queue = createEventQueue(connection, reportTo(log));
    const jobs: EventJob[] = [];
    const worker = createEventWorker(
      connection,
      async (job) => {
        jobs.push(job);
      },
      { concurrency: 1, ...reportTo(log) },
    );
    await queue.enqueue({ eventIds: ["a"], name: "t" });
    await eventually(() => {
      expect(jobs).toHaveLength(1);
      expect(isListening).toBe(true);
    });

    await worker.close();
    await queue.close();
    await eventually(() => {
      expect(ended).toBeGreaterThan(2);
    });

    expect(log.lines).toEqual([]);
  });
});

describe("a worker on PostgreSQL that waits for notifications", () => {
  test("lives on when the server ends its new connections as soon as they stand", async () => {
    const backend = await openPostgres();
    toClose.unshift(() => backend.close());
    let isAbrupt = false;
    let ended = 0;
    const url = await startProxy(backend.connection.url, () => {
      let stands = false;
      return {
        answered: (chunk, client) => {
          const isFirst =
            !stands && chunk.subarray(-READY.length).equals(READY);
          stands ||= isFirst;
          if (isFirst && isAbrupt) {
            ended++;
            client.end(Buffer.concat([chunk, FATAL]));
          } else client.write(chunk);
        },
      };
    });
    const jobs = collectJobs({ kind: "postgres", url });
    const queue = openQueue(backend.connection);
    await queue.enqueue({ eventIds: ["before"], name: "t" });
    await eventually(async () => {
      expect(await backend.countJobs()).toBe(0);
    });

    isAbrupt = true;
    await eventually(async () => {
      await backend.cutConnections("query like '%LISTEN%'");
      expect(ended).toBeGreaterThan(2);
    });
    isAbrupt = false;
    await queue.enqueue({ eventIds: ["after"], name: "t" });

    await eventually(() => {
      expect(jobs.map(({ eventIds }) => eventIds)).toEqual([
        ["before"],
        ["after"],
      ]);
    });
  });

  test("is not deaf when that connection is lost as soon as it listens", async () => {
    const backend = await openPostgres();
    toClose.unshift(() => backend.close());
    let isLost = false;
    let hasLooked = false;
    const url = await startProxy(backend.connection.url, () => {
      let listens = false;
      return {
        sent: (chunk) => {
          listens ||= chunk.includes("LISTEN");
          hasLooked ||= isLost && chunk.includes("AS present"); // has_waiting_job.sql
        },
        answered: (chunk, client) => {
          if (!listens || isLost) {
            client.write(chunk);
            return;
          }
          isLost = true;
          client.end(Buffer.concat([chunk, FATAL]));
        },
      };
    });
    const jobs = collectJobs({ kind: "postgres", url });
    await eventually(() => {
      expect(hasLooked).toBe(true);
    });

    const hintedAt = Date.now();
    await openQueue(backend.connection).enqueue({
      eventIds: ["a"],
      name: "t",
    });
    await eventually(() => {
      expect(jobs).toHaveLength(1);
    }, 8_000);

    // It looks for itself every 5 s only.
    expect(Date.now() - hintedAt).toBeLessThan(2_000);
  });
});

describeOwnRedis("the queue on Redis, when things go wrong", () => {
  async function startServer(
    args: readonly string[] = [],
    port?: number,
  ): Promise<RedisServer> {
    const server = await startRedisServer(args, port);
    // Behind the connections that are to be closed first.
    toClose.unshift(() => server.stop());
    return server;
  }

  const connectTo = (port: number) =>
    ({
      kind: "redis" as const,
      url: `redis://127.0.0.1:${String(port)}`,
      prefix: "test",
    }) satisfies QueueConnection;

  /** A hint gets through and is worked. */
  async function works(
    queue: EventQueue,
    jobs: readonly EventJob[],
    withinMs: number,
  ): Promise<void> {
    const id = randomUUID();
    await eventually(async () => {
      await queue.enqueue({ eventIds: [id], name: "t" });
    }, withinMs);
    await eventually(() => {
      expect(jobs.map(({ eventIds }) => eventIds[0])).toContain(id);
    }, withinMs);
  }

  test("a Redis that appears after the start is used within three seconds", async () => {
    const port = await findFreePort();
    const queue = openQueue(connectTo(port));
    const jobs = collectJobs(connectTo(port));
    await expect(queue.ping()).rejects.toThrow();
    await expect(
      queue.enqueue({ eventIds: ["lost"], name: "t" }),
    ).rejects.toThrow();

    await startServer([], port);

    await works(queue, jobs, 3_000);
    await queue.ping();
    expect(jobs.map(({ eventIds }) => eventIds[0])).not.toContain("lost");
  });

  test("a Redis that comes back empty is used within three seconds", async () => {
    const server = await startServer();
    const queue = openQueue(connectTo(server.port));
    const jobs = collectJobs(connectTo(server.port));
    await works(queue, jobs, 3_000);

    await server.stop();
    await eventually(() => expect(queue.ping()).rejects.toThrow());
    await startServer([], server.port);

    await works(queue, jobs, 3_000);
    const redis = openRedis(server.url);
    expect(
      await redis.hget("test:uqpay-events:meta", "opts.maxLenEvents"),
    ).toBe("100");
  });

  test("a flushed Redis is used at once", async () => {
    const server = await startServer();
    const queue = openQueue(connectTo(server.port));
    const jobs = collectJobs(connectTo(server.port));
    await works(queue, jobs, 3_000);

    const redis = openRedis(server.url);
    await redis.flushall();
    await redis.script("FLUSH");

    await works(queue, jobs, 1_000);
    expect(jobs).toHaveLength(2);
  });

  test("a frozen Redis costs each hint its time-out, and what is under way is bounded", async () => {
    const server = await startServer();
    const queue = openQueue(connectTo(server.port), 300);
    const jobs = collectJobs(connectTo(server.port));
    await works(queue, jobs, 3_000);

    server.kill("SIGSTOP");
    const took = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const hintedAt = Date.now();
        await expect(
          queue.enqueue({ eventIds: [String(i)], name: "t" }),
        ).rejects.toThrow();
        return Date.now() - hintedAt;
      }),
    );
    await expect(queue.ping()).rejects.toThrow();
    await expect(queue.oldestWaitingAt()).rejects.toThrow();
    const redis = openRedis(server.url);
    server.kill("SIGCONT");

    expect(Math.max(...took)).toBeLessThan(300 + 300);
    await works(queue, jobs, 3_000);
    expect(Number(await redis.get("test:uqpay-events:id"))).toBeLessThan(100);
  });

  test("a Redis without memory refuses hints; the worker waits calmly and goes on", async () => {
    const server = await startServer();
    const redis = openRedis(server.url);
    const queue = openQueue(connectTo(server.port));
    await queue.enqueue({ eventIds: ["waits"], name: "t" });
    await redis.config("SET", "maxmemory", "1");

    await expect(
      queue.enqueue({ eventIds: ["refused"], name: "t" }),
    ).rejects.toThrow(/OOM/);
    const startedAt = Date.now();
    const jobs = collectJobs(connectTo(server.port));
    const countRefusals = async () =>
      Number(
        /errorstat_OOM:count=(\d+)/.exec(await redis.info("errorstats"))?.[1],
      );
    await eventually(async () => {
      expect(await countRefusals()).toBeGreaterThanOrEqual(4);
    });
    const calmMs = Date.now() - startedAt;
    await redis.config("SET", "maxmemory", "0");

    await eventually(() => {
      expect(jobs.map(({ eventIds }) => eventIds[0])).toEqual(["waits"]);
    });
    expect(calmMs).toBeGreaterThan(500);
    await works(queue, jobs, 3_000);
  });

  test("a lost connection is one line in the log, without the password", async () => {
    const server = await startServer(["--requirepass", "right"]);
    const connection: QueueConnection = {
      kind: "redis",
      url: `redis://:wrong-password@127.0.0.1:${String(server.port)}`,
      prefix: "test",
    };
    const log = createMemoryLog();
    const queue = openQueue(connection, 300, log);
    collectJobs(connection, { log });

    const redis = openRedis(`redis://:right@127.0.0.1:${String(server.port)}`);
    await eventually(async () => {
      const stats = await redis.info("errorstats");
      expect(
        Number(/errorstat_WRONGPASS:count=(\d+)/.exec(stats)?.[1]),
      ).toBeGreaterThan(10);
    });
    await expect(queue.ping()).rejects.toThrow();

    expect(log.lines.map(({ message }) => message)).toEqual([
      "connection lost", // the queue's
      "connection lost", // the worker's
    ]);
    expect(JSON.stringify(log.lines)).toContain("WRONGPASS");
    expect(JSON.stringify(log.lines)).not.toContain("wrong-password");
  });

  test("queue and worker close in time when Redis is away", async () => {
    const connection = connectTo(await findFreePort());
    const queue = createEventQueue(connection, silent);
    const worker = createEventWorker(connection, () => Promise.resolve(), {
      concurrency: 1,
      ...silent,
    });
    await expect(queue.ping()).rejects.toThrow();

    const closingAt = Date.now();
    await Promise.all([queue.close(), worker.close()]);

    expect(Date.now() - closingAt).toBeLessThan(3_000);
  });

  test("a worker that is abandoned when Redis went away for good ends all that it began", async () => {
    const server = await startServer();
    const jobs: HintJob[] = [];
    let errors = 0;
    const worker = openRedisWorker(
      connectTo(server.port),
      (job) => {
        jobs.push(job);
        return Promise.resolve();
      },
      {
        concurrency: 1,
        lockDuration: 10_000,
        stalledInterval: 5_000,
        onError: () => errors++,
      },
    );
    await openQueue(connectTo(server.port)).enqueue({
      eventIds: ["a"],
      name: "n",
    });
    await eventually(() => {
      expect(jobs).toHaveLength(1);
    });
    await server.stop();
    // So that it is closed between two attempts to connect.
    await eventually(() => {
      expect(errors).toBeGreaterThan(3);
    });

    const closed = worker.close();
    await delay(300);
    worker.abandon();

    // It waits for all of BullMQ's own loops and timers.
    await expect(closed).resolves.toBeUndefined();
  });
});

interface Backend {
  readonly connection: QueueConnection;
  /** Removes every job. */
  empty(): Promise<void>;
  /** Jobs in any state. */
  countJobs(): Promise<number>;
  /** The data of the waiting jobs, oldest first. */
  storedData(): Promise<unknown[]>;
  countStreamEntries(): Promise<number>;
  /** All that is stored, as text. */
  dump(): Promise<string>;
  close(): Promise<void>;
}

interface PostgresBackend extends Backend {
  readonly connection: Extract<QueueConnection, { kind: "postgres" }>;
  /** @param which of them: a condition on `pg_stat_activity` */
  cutConnections(which?: string): Promise<void>;
  /** Makes commits wait for the disk, as servers do elsewhere, and notes the settings of the sessions that add a job. */
  watchSettings(): Promise<void>;
  seenSettings(): Promise<unknown[]>;
}

async function openPostgres(): Promise<PostgresBackend> {
  const database = await createDatabase();
  const connection = { kind: "postgres", url: database.url } as const;
  await migrateQueue(connection);

  const count = async (table: string) => {
    const { rows } = await database.query(
      `select count(*)::int as n from bullmq.${table}`,
    );
    return Number(rows[0]?.["n"]);
  };
  return {
    connection,
    empty: async () => {
      await database.query("truncate bullmq.job cascade");
    },
    countJobs: () => count("job"),
    countStreamEntries: () => count("event"),
    storedData: async () => {
      const { rows } = await database.query(
        "select data from bullmq.job where state = 'waiting' order by seq",
      );
      return rows.map((row) => row["data"]);
    },
    dump: async () => {
      const { rows } = await database.query(
        `select (select json_agg(job) from bullmq.job) as job,
                (select json_agg(event) from bullmq.event) as event`,
      );
      return JSON.stringify(rows);
    },
    cutConnections: async (which = "true") => {
      await database.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and ${which}`,
      );
    },
    watchSettings: async () => {
      await database.query(
        `do $$ begin
           execute format('alter database %I set synchronous_commit = on', current_database());
         end $$`,
      );
      await database.query(`
        create table seen (synchronous_commit text, work_mem text);
        create function note() returns trigger language plpgsql as $$
          begin
            insert into public.seen
            values (current_setting('synchronous_commit'), current_setting('work_mem'));
            return new;
          end $$;
        create trigger note after insert on bullmq.job
          for each row execute function note()`);
    },
    seenSettings: async () => (await database.query("select * from seen")).rows,
    close: database.drop,
  };
}

async function createDatabase() {
  const serverUrl = process.env["TEST_POSTGRES_URL"];
  if (serverUrl === undefined) throw new Error("TEST_POSTGRES_URL is not set");
  const name = `event_queue_${randomUUID().replaceAll("-", "")}`;
  const server = new pg.Client(serverUrl);
  await server.connect();
  await server.query(`create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const client = new pg.Client(url.href);
  await client.connect();

  return {
    url: url.href,
    query: (sql: string) => client.query<Record<string, unknown>>(sql),
    drop: async () => {
      await client.end();
      await server.query(`drop database ${name} with (force)`);
      await server.end();
    },
  };
}

function openSharedRedis(): Promise<Backend> {
  const url = redisUrl ?? "";
  const prefix = `test-${randomUUID()}`;
  const key = (name: string) => `${prefix}:uqpay-events:${name}`;
  const redis = new Redis(url);
  const jobKeys = async () =>
    (await redis.keys(key("*"))).filter((name) => /:\d+$/.test(name));
  const removeAll = async () => {
    const keys = (await redis.keys(`${prefix}:*`)).filter(
      (name) => name !== key("meta"),
    );
    if (keys.length > 0) await redis.del(keys);
  };

  return Promise.resolve({
    connection: { kind: "redis", url, prefix },
    empty: removeAll,
    countJobs: async () => (await jobKeys()).length,
    countStreamEntries: () => redis.xlen(key("events")),
    storedData: async () => {
      const ids = await redis.lrange(key("wait"), 0, -1);
      const data = await Promise.all(
        ids.reverse().map((id) => redis.hget(key(id), "data")),
      );
      return data.map((text) => JSON.parse(text ?? "null") as unknown);
    },
    dump: async () => {
      const jobs = await Promise.all(
        (await jobKeys()).map((name) => redis.hgetall(name)),
      );
      const events = await redis.xrange(key("events"), "-", "+");
      return JSON.stringify({ jobs, events });
    },
    close: async () => {
      await removeAll();
      await redis.del(key("meta"));
      redis.disconnect();
    },
  });
}

/** ReadyForQuery, idle; a fatal error; Terminate: https://www.postgresql.org/docs/current/protocol-message-formats.html */
const TERMINATE = Buffer.from("X\0\0\0\x04");
const READY = Buffer.from("Z\0\0\0\x05I");
const FATAL_FIELDS = "SFATAL\0VFATAL\0C57P01\0Mthe server ends\0\0";
const FATAL = Buffer.from(
  `E\0\0\0${String.fromCharCode(4 + FATAL_FIELDS.length)}${FATAL_FIELDS}`,
);

/** Behind the connections that are to be closed first. */
async function startProxy(
  ...parameters: Parameters<typeof startTcpProxy>
): Promise<string> {
  const proxy = await startTcpProxy(...parameters);
  toClose.unshift(proxy.close);
  return proxy.url;
}

interface MemoryLog {
  readonly lines: { readonly fields: object; readonly message: string }[];
}

function createMemoryLog(): MemoryLog {
  return { lines: [] };
}

/** As the service logs what a queue and a worker report. */
function reportTo({ lines }: MemoryLog) {
  const note = (fields: object, message: string) =>
    lines.push({ fields, message });
  const report = (message: string) =>
    createErrorReporter({ warn: note, error: note }, message, "warn", 1);
  return {
    onJobFailed: report("job failed"),
    onError: report("connection lost"),
    onEviction: () => undefined,
  };
}

const silent = reportTo(createMemoryLog());

function openQueue(
  connection: QueueConnection,
  timeoutMs = 2_000,
  log: MemoryLog = createMemoryLog(),
): EventQueue {
  const queue = createEventQueue(connection, {
    ...reportTo(log),
    timeoutMs,
  });
  toClose.push(() => queue.close());
  return queue;
}

/** Starts a worker; the list grows as its jobs start. */
function collectJobs(
  connection: QueueConnection,
  options: {
    readonly work?: (job: EventJob) => Promise<void>;
    readonly log?: MemoryLog;
    readonly timing?: {
      readonly lockDurationMs: number;
      readonly stalledIntervalMs: number;
    };
  } = {},
): readonly EventJob[] {
  const jobs: EventJob[] = [];
  const worker = createEventWorker(
    connection,
    async (job) => {
      jobs.push(job);
      await options.work?.(job);
    },
    {
      concurrency: 1,
      ...reportTo(options.log ?? createMemoryLog()),
      ...options.timing,
    },
  );
  toClose.push(() => worker.close());
  return jobs;
}

function openRedis(url: string): Redis {
  const redis = new Redis(url);
  redis.on("error", () => undefined);
  toClose.push(() => {
    redis.disconnect();
    return Promise.resolve();
  });
  return redis;
}

/** A process of its own whose worker never finishes the job that it takes. */
function startWorkerProcess(
  connection: QueueConnection,
  timing: object,
): { readonly process: ChildProcess; readonly hasJob: Promise<void> } {
  const module = pathToFileURL(resolve("dist/src/queue/event-worker.js")).href;
  const script = `
    import { createEventWorker } from ${JSON.stringify(module)};
    createEventWorker(
      ${JSON.stringify(connection)},
      () => {
        console.log("has the job");
        return new Promise(() => {});
      },
      { concurrency: 1, onError: console.warn, ...${JSON.stringify(timing)} },
    );`;
  const child = spawn(
    process.execPath,
    ["--input-type=module", "--eval", script],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  toClose.push(() => {
    child.kill("SIGKILL");
    return Promise.resolve();
  });
  const hasJob = new Promise<void>((resolvePromise, reject) => {
    child.stdout.once("data", () => {
      resolvePromise();
    });
    child.once("exit", () => {
      reject(new Error("the worker process ended"));
    });
  });
  return { process: child, hasJob };
}

function createGate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolvePromise) => {
    open = resolvePromise;
  });
  return { opened, open };
}

function indexOfLastBefore(
  instant: Date | undefined,
  times: readonly number[],
): number {
  if (instant === undefined) return -1;
  return times.findLastIndex((time) => time <= instant.getTime());
}

/** Repeats the check until it passes; rejects with its last failure. */
async function eventually(
  check: () => unknown,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await delay(20);
  }
}
