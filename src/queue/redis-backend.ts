import { Queue, Worker } from "bullmq";
import { Redis, type RedisOptions } from "ioredis";
import {
  type HintData,
  type HintJob,
  type OpenQueue,
  type OpenWorker,
  type OpenWorkerOptions,
  QUEUE_META,
  WORKER_OPTIONS,
  tolerateErrors,
} from "./bullmq.ts";
import { type QueueConnection, QUEUE_NAME } from "./queue-connection.ts";

type RedisQueueConnection = Extract<QueueConnection, { kind: "redis" }>;

const CLIENT_OPTIONS = {
  // Back within about 3 s of Redis, however long it was away.
  connectTimeout: 2_000,
  retryStrategy: (times) => Math.min(times * 100, 1_000),
  // For the server's end of a closing; the timer runs even after the end.
  disconnectTimeout: 200,
  // A server that lost its place to another (READONLY), that has not read its
  // data yet (LOADING) or wants a password (NOAUTH): the connection is of no
  // more use, a new one may lead elsewhere. After a pause, see `retryStrategy`.
  reconnectOnError: ({ message }) =>
    /READONLY|^(LOADING|NOAUTH|MASTERDOWN)/.test(message),
} satisfies RedisOptions;

/**
 * BullMQ's look at INFO when it connects: a failed one would be remembered for
 * ever (redis-connection.js, `initializing`), and it writes the eviction policy
 * to the console (ours is `readEvictionPolicy`). Without it blocking time-outs are whole seconds, so that an
 * idle worker sees a delayed job up to a second late.
 */
const SKIP_VERSION_CHECK = true;

/** @param onEviction told of a policy under which Redis may forget hints, once for each */
export function openRedisQueue(
  connection: RedisQueueConnection,
  onError: (error: unknown) => void,
  onEviction: (policy: string) => void,
): OpenQueue {
  const client = new Redis(connection.url, {
    ...CLIENT_OPTIONS,
    connectionName: `${QUEUE_NAME}:producer`,
    // What cannot be sent now fails now. Nothing is kept for later: the caller
    // has its own way to find events without a hint.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // Gives up a connection that only looks alive (no answer, no FIN).
    socketTimeout: 5_000,
  });
  const queue = new Queue<HintData>(QUEUE_NAME, {
    connection: client,
    prefix: connection.prefix,
    skipVersionCheck: SKIP_VERSION_CHECK,
    // Otherwise BullMQ parks every call until the first connection is made.
    skipWaitingForReady: true,
    // Would be written once, before there is a connection; see below.
    skipMetasUpdate: true,
  });
  queue.on("error", onError);
  silence(client);
  // Again after every connect: Redis may have come back empty.
  client.on("ready", () => {
    queue.getBackend().setQueueMeta(QUEUE_META).catch(onError);
  });
  // Also again: after a fail-over it may be another server.
  let policy: string = KEEPS_EVERYTHING;
  client.on("ready", () => {
    void readEvictionPolicy(client).then((found = policy) => {
      if (found !== policy && found !== KEEPS_EVERYTHING) onEviction(found);
      policy = found;
    });
  });
  const connected = waitWhileConnecting(client);

  return {
    add: async (name, data, options) => {
      await connected();
      await queue.add(name, data, options);
    },
    ping: async () => {
      await connected();
      // One that takes no writes (READONLY, OOM, MISCONF) is of no use to us, and a plain PING would not tell.
      await client.set(`${connection.prefix}:${QUEUE_NAME}:ping`, "", "PX", 1);
    },
    oldestWaiting: async () => {
      await connected();
      const [job] = await queue.getJobs(["waiting"], 0, 0, true);
      return job && { addedAtMs: job.timestamp, delayMs: job.opts.delay ?? 0 };
    },
    close: async () => {
      client.options.retryStrategy = () => null;
      // BullMQ's close waits for a server that is away, and the connection would then be tried for ever.
      if (client.status === "ready") await queue.close();
      client.disconnect();
    },
  };
}

export function openRedisWorker(
  connection: RedisQueueConnection,
  run: (job: HintJob) => Promise<void>,
  options: OpenWorkerOptions,
): OpenWorker {
  const { onError, ...workerOptions } = options;
  const client = new Redis(connection.url, {
    ...CLIENT_OPTIONS,
    // BullMQ's condition for workers: commands wait for the connection.
    maxRetriesPerRequest: null,
    // Longer than the longest blocking command (10 s, BullMQ's maximumBlockTimeout).
    socketTimeout: 15_000,
  });
  silence(client);

  // BullMQ makes its blocking connection by duplicating this one and keeps it to
  // itself. `abandon` must reach it: BullMQ's own disconnect waits for the server.
  const clients = [client];
  const duplicate = client.duplicate.bind(client);
  client.duplicate = (override) => {
    const copy = duplicate(override);
    silence(copy);
    clients.push(copy);
    return copy;
  };
  const abandon = () => {
    for (const each of clients) {
      each.options.retryStrategy = () => null;
      // After the end it would leave a timer of 2 s (ioredis 6.0.0).
      if (each.status === "end") continue;
      const isBetweenAttempts = each.status === "reconnecting";
      each.disconnect();
      // There is no connection then whose end could be heard: one last attempt
      // gives what waits for it that end, and BullMQ may have stopped the next.
      if (isBetweenAttempts) {
        each.connect().then(
          () => {
            each.disconnect();
          },
          () => undefined,
        );
      }
    }
  };

  const worker = new Worker<HintData>(QUEUE_NAME, run, {
    ...WORKER_OPTIONS,
    ...workerOptions,
    connection: client,
    prefix: connection.prefix,
    skipVersionCheck: SKIP_VERSION_CHECK,
  });
  worker.on("error", onError);
  tolerateErrors(worker.getBackend(), onError);

  return {
    pause: () => worker.pause(true),
    resume: () => worker.resume(),
    close: async () => {
      await worker.close();
      abandon();
    },
    abandon,
  };
}

/** Without any listener ioredis writes errors to the console; BullMQ removes its own on close. */
function silence(client: Redis): void {
  client.on("error", () => undefined);
}

/**
 * Waits for a connection that is being made (so that the first hints of a
 * process are not lost), and rejects at once when there is none.
 */
function waitWhileConnecting(client: Redis): () => Promise<void> {
  let attempt: Promise<void> | undefined;

  return () => {
    if (client.status === "ready") return Promise.resolve();
    if (client.status !== "connecting" && client.status !== "connect") {
      return Promise.reject(new Error("Redis is not connected"));
    }
    // One pair of listeners, however many calls wait.
    attempt ??= new Promise<void>((resolve, reject) => {
      const onReady = () => {
        attempt = undefined;
        client.off("close", onClose);
        resolve();
      };
      const onClose = () => {
        attempt = undefined;
        client.off("ready", onReady);
        reject(new Error("Redis cannot be reached"));
      };
      client.once("ready", onReady);
      client.once("close", onClose);
    });
    return attempt;
  };
}

/** The policy under which Redis forgets nothing by itself. */
const KEEPS_EVERYTHING = "noeviction";

/**
 * What Redis does when its memory is full; undefined where it does not say. INFO comes first: managed servers forbid
 * CONFIG, and an access list may forbid either.
 */
async function readEvictionPolicy(client: Redis): Promise<string | undefined> {
  const info = await client.info("memory").catch(() => "");
  const policy = /^maxmemory_policy:([\w-]+)/m.exec(info)?.[1];
  if (policy !== undefined) return policy;
  const reply: unknown = await client
    .config("GET", "maxmemory-policy")
    .catch(() => []);
  const value: unknown = Array.isArray(reply) ? reply[1] : undefined;
  return typeof value === "string" ? value : undefined;
}
