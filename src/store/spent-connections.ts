import type pg from "pg";

/**
 * SQLSTATEs after which a session is of no more use while a new one may be: its server takes no writes (25006: it lost
 * its place to another one, or the session began while it was read-only), its plans or statements are not what they were
 * (0A000, 26000, 42P05), the server ends it (57P01 to 57P05) or has lost it (08).
 */
const SPENT = /^(25006|0A000|26000|42P05|57P0[1-5]|08...)$/;
/** Then the pool's other connections lead to the same server. */
const READ_ONLY = "25006";

/** Whether a new connection may do what this one could not. Nothing came of the statement. */
export function isReadOnly(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === READ_ONLY;
}

/**
 * Keeps a pool from lending out a connection that has answered one of these: after a fail-over it would find the old
 * server as long as that lives.
 *
 * @param onReadOnly told so that connections beside the pool can be made anew, too
 */
export function endSpentConnections(
  pool: Pick<pg.Pool, "on">,
  onReadOnly: () => void = () => undefined,
): void {
  const idle = new Set<pg.PoolClient>();
  const spent = new WeakSet<pg.PoolClient>();
  pool.on("connect", (client) => {
    innerConnectionOf(client).on("errorMessage", ({ code = "" }) => {
      if (!SPENT.test(code)) return;
      spent.add(client);
      if (code !== READ_ONLY) return;
      // The pool drops an idle one that breaks.
      for (const other of idle) cutConnection(other);
      onReadOnly();
    });
  });
  pool.on("acquire", (client) => idle.delete(client));
  pool.on("remove", (client) => idle.delete(client));
  pool.on("release", (_error, client) => {
    // The pool does not keep one that is ending.
    if (spent.has(client)) client.end().catch(() => undefined);
    else idle.add(client);
  });
}

/** As if its server had gone. */
export function cutConnection(client: pg.ClientBase): void {
  innerConnectionOf(client).stream.destroy(
    new Error("the server takes no writes"),
  );
}

interface InnerConnection {
  readonly on: (
    event: "errorMessage",
    listener: (message: { readonly code?: string }) => void,
  ) => void;
  readonly stream: { readonly destroy: (error: Error) => void };
}

/** pg's types leave out what its own pool uses, too. */
function innerConnectionOf(client: pg.ClientBase): InnerConnection {
  return (client as unknown as { connection: InnerConnection }).connection;
}
