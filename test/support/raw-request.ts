import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";

export interface RawAnswer {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

/** Opens a connection on which a test writes what no HTTP client would. */
export async function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

/** The bytes of a request whose header lines are sent exactly as they are given. */
export function rawRequest(headers: readonly string[], body: Buffer): Buffer {
  const head = [
    "POST /webhooks/uqpay HTTP/1.1",
    "Host: localhost",
    "Connection: close",
    `Content-Length: ${body.length}`,
    ...headers,
  ];
  return Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), body]);
}

/** Reads until the other side ends the connection. @throws when it is reset before */
export async function readAnswer(socket: Socket): Promise<RawAnswer> {
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  const [headers = "", ...rest] = text.split("\r\n\r\n");
  return {
    status: Number(headers.split(" ")[1]),
    headers,
    body: rest.join("\r\n\r\n"),
  };
}

export async function sendRaw(
  port: number,
  headers: readonly string[],
  body: Buffer,
): Promise<RawAnswer> {
  const socket = await openSocket(port);
  socket.write(rawRequest(headers, body));
  return readAnswer(socket);
}
