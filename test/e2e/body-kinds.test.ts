import type { Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { aStatusUpdate, bytesOf } from "../support/deliveries.ts";
import { signedHeaders } from "../support/fixtures.ts";
import { openSocket, readAnswer } from "../support/raw-request.ts";
import type { TestService } from "../support/service.ts";
import { SECRET, startTestService } from "../support/service.ts";

/** More than there are places for large bodies. */
const MANY = 150;

let service: TestService;

beforeAll(async () => {
  service = await startTestService({ queue: "postgres" });
});

afterAll(async () => {
  await service.stop();
});

function headOf(
  body: Buffer,
  lines: readonly string[],
  version = "1.1",
): string {
  const signed = signedHeaders(body, { secret: SECRET, atMs: Date.now() });
  return [
    `POST /webhooks/uqpay HTTP/${version}`,
    "Host: localhost",
    ...lines,
    ...Object.entries(signed).map((pair) => pair.join(": ")),
    "\r\n",
  ].join("\r\n");
}

function chunk(part: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`${part.length.toString(16)}\r\n`),
    part,
    Buffer.from("\r\n"),
  ]);
}

async function statusesOf(sockets: readonly Socket[]): Promise<Set<number>> {
  const answers = await Promise.all(sockets.map(readAnswer));
  return new Set(answers.map(({ status }) => status));
}

describe("deliveries of usual size", () => {
  test("in chunks are all taken, however many are under way at once", async () => {
    const bodies = Array.from({ length: MANY }, () => bytesOf(aStatusUpdate()));
    const sockets = await Promise.all(
      bodies.map(async (body) => {
        const socket = await openSocket(service.port);
        socket.write(
          headOf(body, ["Transfer-Encoding: chunked", "Connection: close"]),
        );
        socket.write(chunk(body.subarray(0, 100)));
        return socket;
      }),
    );

    for (const [index, socket] of sockets.entries())
      socket.write(
        Buffer.concat([
          chunk((bodies[index] ?? Buffer.alloc(0)).subarray(100)),
          Buffer.from("0\r\n\r\n"),
        ]),
      );

    expect(await statusesOf(sockets)).toEqual(new Set([200]));
  });

  test("that are compressed are all taken, with a length and in chunks", async () => {
    const sockets = await Promise.all(
      Array.from({ length: MANY }, async (_, index) => {
        const body = bytesOf(aStatusUpdate());
        const sent = gzipSync(body);
        const socket = await openSocket(service.port);
        const lines = ["Content-Encoding: gzip", "Connection: close"];
        if (index % 2 === 0) {
          socket.write(
            headOf(body, [...lines, `Content-Length: ${sent.length}`]),
          );
          socket.write(sent);
        } else {
          socket.write(headOf(body, [...lines, "Transfer-Encoding: chunked"]));
          socket.write(Buffer.concat([chunk(sent), Buffer.from("0\r\n\r\n")]));
        }
        return socket;
      }),
    );

    expect(await statusesOf(sockets)).toEqual(new Set([200]));
  });

  test("in HTTP/1.0, as nginx speaks to what is behind it, are taken, and the connection ends", async () => {
    const body = bytesOf(aStatusUpdate());
    const socket = await openSocket(service.port);
    socket.write(headOf(body, [`Content-Length: ${body.length}`], "1.0"));
    socket.write(body);

    const answer = await readAnswer(socket);

    expect(answer.status).toBe(200);
    expect(answer.headers).toMatch(/^connection: close$/im);
  });
});
