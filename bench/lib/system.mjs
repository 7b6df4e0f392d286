// One trial's system: a program in its roles, on a new database and an empty queue.
import { startServer } from "./server.mjs";

/** @typedef {import("./environment.mjs").Environment} Environment */
/** @typedef {import("./environment.mjs").Database} Database */
/** @typedef {import("./server.mjs").Server} Server */

/**
 * @typedef {object} SystemOptions
 * @property {import("./server.mjs").Program} program
 * @property {readonly ("all" | "api" | "worker")[]} roles one process for each; the first takes the requests
 * @property {import("./environment.mjs").QueueKind} queue
 * @property {Database} [database] is used and kept, instead of a new one
 */

/**
 * @typedef {object} System
 * @property {Environment} environment
 * @property {Database} database
 * @property {() => readonly Server[]} servers
 * @property {(roles: SystemOptions["roles"], program?: SystemOptions["program"]) => Promise<void>} switchTo
 *   stops the processes and starts others
 */

/**
 * @template Result
 * @param {Environment} environment @param {SystemOptions} options @param {(system: System) => Promise<Result>} use
 * @returns {Promise<Result & { rows: number, walBytes: number, fsyncs: number }>}
 *   what was written from the start of the processes to their end
 */
export async function withSystem(environment, options, use) {
  const database = options.database ?? (await environment.freshDatabase());
  await environment.emptyRedis();
  // How much of the pages the WAL repeats hangs on how long ago the last checkpoint was.
  await database.rows("checkpoint");
  const rowsBefore = options.database ? await countRows(database) : 0;
  const before = await environment.readWal();
  /** @type {readonly Server[]} */
  let servers = [];
  const stop = () => Promise.all(servers.map((server) => server.stop()));
  /** @type {System["switchTo"]} */
  const switchTo = async (roles, program = options.program) => {
    await stop();
    servers = [];
    for (const role of roles)
      servers = [
        ...servers,
        await startServer({
          program,
          role,
          folder: environment.folder,
          databaseUrl: database.url,
          redisUrl:
            options.queue === "redis" ? environment.redisUrl : undefined,
        }),
      ];
  };
  try {
    await switchTo(options.roles);
    const result = await use({
      environment,
      database,
      servers: () => servers,
      switchTo,
    });
    await stop();
    const after = await environment.readWal();
    return {
      ...result,
      rows: (await countRows(database)) - rowsBefore,
      walBytes: after.bytes - before.bytes,
      fsyncs: after.fsyncs - before.fsyncs,
    };
  } finally {
    await stop();
    if (options.database === undefined) await database.drop();
  }
}

/** @param {Database} database @returns {Promise<number>} */
async function countRows(database) {
  const [row] = await database.rows(
    "select count(*)::int as count from webhook_events",
  );
  return row?.count ?? 0;
}
