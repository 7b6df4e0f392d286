import {
  assertSchemaCompatibility,
  createPostgresBackend,
  type PostgresPoolConfig,
  type PostgresQueueBackend,
  withBackend,
} from "bullmq";
import pg from "pg";
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
import {
  type Connection,
  connectionOf,
  sessionStatements,
} from "../store/session.ts";
import {
  cutConnection,
  endSpentConnections,
} from "../store/spent-connections.ts";
import {
  type QueueConnection,
  QUEUE_NAME,
  QUEUE_SCHEMA,
} from "./queue-connection.ts";

type PostgresQueueConnection = Extract<QueueConnection, { kind: "postgres" }>;

/** Far above what any of BullMQ's statements take, so that only a hung server meets it. */
const WORKER_QUERY_TIMEOUT_MS = 10_000;

export function openPostgresQueue(
  connection: PostgresQueueConnection,
  timeoutMs: number,
  onError: (error: unknown) => void,
): OpenQueue {
  const sessions = sessionsOf(connection, timeoutMs);
  const { Queue } = withBackend(robustBackend(sessions));
  const queue = new Queue<HintData>(QUEUE_NAME, {
    connection: poolConfig(sessions, {
      application_name: "uqpay-queue-producer",
      max: 2,
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
    }),
    // See robustBackend: BullMQ would not try again.
    skipMetasUpdate: true,
  });
  const backend = queue.getBackend();
  queue.on("error", untilItCloses(backend, onError));

  return {
    add: (name, data, options) => queue.add(name, data, options),
    ping: async () => {
      await backend.connection.waitUntilReady();
      // Asks for all that adding a job asks for, and adds none.
      await backend.connection.pool.query(
        "insert into job (queue) select '' where false",
      );
    },
    // Not getJobs: for waiting jobs it ignores the order asked for and returns
    // the newest (get_range in 0002_functions.sql). Same order and index as
    // move_to_active.
    oldestWaiting: async () => {
      await backend.connection.waitUntilReady();
      const { rows } = await backend.connection.pool.query<{
        added: string;
        delay: string;
      }>(
        `select added_at_ms as added, coalesce(opts ->> 'delay', '0') as delay
           from job
          where queue = $1 and state = 'waiting'
          order by priority, seq
          limit 1`,
        [QUEUE_NAME],
      );
      return (
        rows[0] && {
          addedAtMs: Number(rows[0].added),
          delayMs: Number(rows[0].delay),
        }
      );
    },
    close: () => queue.close(),
  };
}

export function openPostgresWorker(
  connection: PostgresQueueConnection,
  run: (job: HintJob) => Promise<void>,
  options: OpenWorkerOptions,
): OpenWorker {
  const { onError, ...workerOptions } = options;
  const sessions = sessionsOf(connection, WORKER_QUERY_TIMEOUT_MS);
  const { Worker } = withBackend(robustBackend(sessions));
  const worker = new Worker<HintData>(QUEUE_NAME, run, {
    ...WORKER_OPTIONS,
    ...workerOptions,
    connection: poolConfig(sessions, {
      application_name: "uqpay-queue-worker",
      max: options.concurrency + 2,
      connectionTimeoutMillis: WORKER_QUERY_TIMEOUT_MS,
      query_timeout: WORKER_QUERY_TIMEOUT_MS,
    }),
  });
  const backend = worker.getBackend();
  worker.on("error", untilItCloses(backend, onError));
  tolerateErrors(backend, onError);

  return {
    pause: () => worker.pause(true),
    resume: () => worker.resume(),
    close: () => worker.close(),
    // Nothing to cut: every statement and connection attempt has its time-out.
    abandon: () => undefined,
  };
}

/** A pool that ends hears of its own connections' end when the server stops right behind it. */
function untilItCloses(
  { connection }: PostgresQueueBackend,
  onError: (error: unknown) => void,
): (error: unknown) => void {
  return (error) => {
    if (!connection.isClosing) onError(error);
  };
}

function poolConfig(
  sessions: Sessions,
  config: PostgresPoolConfig,
): PostgresPoolConfig {
  return {
    ...sessions.connection,
    schema: QUEUE_SCHEMA,
    keepAlive: true,
    idleTimeoutMillis: 60_000,
    Client: sessions.PooledClient,
    onConnect: sessions.prepare,
    ...config,
  };
}

/** How the queue's connections are made, and what is set on each. */
interface Sessions {
  readonly connection: Connection;
  readonly PooledClient: typeof pg.Client;
  readonly prepare: (client: pg.ClientBase) => Promise<void>;
}

function sessionsOf(
  { url }: PostgresQueueConnection,
  statementTimeoutMs: number,
): Sessions {
  const connection = connectionOf(url);
  const settings = sessionStatements({
    schema: QUEUE_SCHEMA,
    statementTimeoutMs,
    // A hint's commit does not hold up those of the inbox at the disk. What a crash of PostgreSQL takes of the queue's
    // last fraction of a second is found by the sweep.
    waitsForDisk: false,
  });
  /** BullMQ adds its search_path to `options`, which poolers refuse: only what the URL says there is sent. */
  class PooledClient extends pg.Client {
    constructor(config: pg.ClientConfig) {
      // The pool has hidden the password from copies.
      const { options, ...others } = { ...config, ...connection };
      super(connection.options === undefined ? others : { ...others, options });
    }
  }
  return {
    connection,
    PooledClient,
    prepare: async (client) => {
      await client.query(settings);
    },
  };
}

/** Prepared as those of the pool are, and has a listener for errors from its beginning to its end. */
function listeningClient(sessions: Sessions): typeof pg.Client {
  return class ListeningClient extends sessions.PooledClient {
    constructor(config: pg.ClientConfig) {
      super(config);
      this.on("error", () => undefined);
      const connect: () => Promise<pg.Client> = this.connect.bind(this);
      // BullMQ takes the promise; pg's other form has a callback.
      this.connect = async () => {
        const client = await connect();
        try {
          await sessions.prepare(client);
        } catch (error) {
          void client.end();
          throw error;
        }
        return client;
      };
    }

    override removeAllListeners(...events: [(string | symbol)?]): this {
      super.removeAllListeners(...events);
      return this.on("error", () => undefined);
    }
  };
}

/** BullMQ's backend, with six corrections so that it survives a lost server. */
const robustBackend =
  (sessions: Sessions): typeof createPostgresBackend =>
  (name, options, factoryOptions) => {
    const backend = createPostgresBackend(name, options, factoryOptions);

    // 1. A client that is lent out has no error listener of its own, and an
    //    error event without a listener ends the process.
    backend.connection.pool.on("connect", (client) => {
      client.on("error", () => undefined);
    });

    // 2. The client that waits for notifications gets its listener only
    //    after its connection stands, and loses it before it is ended. A server
    //    that ends it in the same breath would end the process
    //    (`getListenClient` and `close` in postgres-connection.js).
    Object.defineProperty(backend.connection, "pgModule", {
      value: { ...pg, Client: listeningClient(sessions) },
    });

    // 3. BullMQ remembers a failed first connection and rejects all later calls
    //    with it (`readyPromise`, in the connection and in the backend); finishing
    //    a job is one of them. This forgets it.
    let ready: Promise<void> | undefined;
    backend.connection.waitUntilReady = () => {
      ready ??= checkSchema(backend).then(
        () => {
          // Once stored it stays, so one that fails does no harm.
          backend.setQueueMeta(QUEUE_META).catch(() => undefined);
        },
        (error: unknown) => {
          ready = undefined;
          throw error;
        },
      );
      return ready;
    };
    backend.waitUntilReady = () => backend.connection.waitUntilReady();

    // 4. After a lost connection the worker would wait up to an hour for a
    //    notification, and jobs that came meanwhile have already had theirs.
    Object.defineProperty(backend, "maximumBlockTimeout", {
      value: WORKER_OPTIONS.drainDelay,
    });

    // 5. A worker that has just begun to listen when that connection is lost waits
    //    on it, deaf, to the end of its time: it is told of the loss before it can
    //    be woken (`waitForJob` in postgres-queue-backend.js). So it is told again.
    let isToldAgain = false;
    backend.connection.on("listenerinvalidated", () => {
      if (isToldAgain) return;
      setImmediate(() => {
        isToldAgain = true;
        backend.connection.emit("listenerinvalidated");
        isToldAgain = false;
      });
    });

    // 6. A connection to a server that has become read-only stays where it is, and
    //    so does the one that waits for notifications, which come from the new one.
    endSpentConnections(
      backend.connection.pool as unknown as Pick<pg.Pool, "on">,
      () => {
        const { listenClient } = backend.connection as unknown as {
          listenClient?: pg.Client;
        };
        if (listenClient) cutConnection(listenClient);
      },
    );
    return backend;
  };

/** Rejects with BullMQ's "schema is not initialized" when migrateQueue has not run. */
async function checkSchema(backend: PostgresQueueBackend): Promise<void> {
  const { pool, schema } = backend.connection;
  const client = await pool.connect();
  try {
    await assertSchemaCompatibility(client, schema);
  } finally {
    client.release();
  }
}
