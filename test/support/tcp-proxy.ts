import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** What is done with one connection's bytes on their way; by default they are handed on. */
export interface Taps {
  /** Told of what the client sends. */
  readonly sent?: (chunk: Buffer, client: Socket) => void;
  /** Gets what the server answers, instead of the client. */
  readonly answered?: (chunk: Buffer, client: Socket) => void;
}

export interface TcpProxy {
  /** The target's URL, by way of the proxy. */
  readonly url: string;
  /** From now on connections lead to another server; those that are open stay where they are. */
  readonly redirect: (target: string) => void;
  /** Ends the connections that are open. */
  readonly cut: () => void;
  /** Also ends the connections that are open. */
  readonly close: () => Promise<void>;
}

/**
 * A server that stands before another one.
 *
 * @param target its URL; without a port, PostgreSQL's
 * @param tap asked for each connection
 * @param port where it listens; 0: one that is free
 */
export async function startTcpProxy(
  target: string,
  tap: () => Taps = () => ({}),
  port = 0,
): Promise<TcpProxy> {
  const url = new URL(target);
  let upstreamUrl = new URL(target);
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(
      Number(upstreamUrl.port || 5432),
      upstreamUrl.hostname,
    );
    const { sent, answered } = tap();
    clients.add(client);
    for (const socket of [client, upstream]) {
      socket.on("error", () => undefined);
      socket.on("close", () => {
        clients.delete(client);
        client.destroy();
        upstream.destroy();
      });
    }
    if (sent) client.on("data", (chunk) => sent(chunk, client));
    client.pipe(upstream);
    if (answered) upstream.on("data", (chunk) => answered(chunk, client));
    else upstream.pipe(client);
  });
  await new Promise<void>((resolve) => {
    server.listen(port, "127.0.0.1", resolve);
  });
  const cut = () => {
    for (const client of clients) client.destroy();
  };
  url.host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return {
    url: url.href,
    redirect: (other) => {
      upstreamUrl = new URL(other);
    },
    cut,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
  };
}
