import { connect } from "node:net";
import type { Socket } from "node:net";
import { once } from "node:events";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { Router } from "express";
import { limitInFlight } from "../../src/http/limit-in-flight.ts";
import type { ListeningServer } from "../../src/http/server.ts";
import { createApp, listen } from "../../src/http/server.ts";
import { readRawBody } from "../../src/http/read-raw-body.ts";
import { waitFor } from "../support/wait-for.ts";

const PLACES = 2;
let server: ListeningServer;
let sockets: Socket[];
/** Requests whose body is complete wait for this. */
let release: () => void;

beforeEach(async () => {
  sockets = [];
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const router = Router();
  const { guard, hold } = limitInFlight({
    small: PLACES,
    large: 1,
    largeFromBytes: 100,
  });
  router.post("/", guard, readRawBody(hold), async (request, response) => {
    if (String(request.body).startsWith("held")) await released;
    response.json({});
  });
  server = await listen(
    createApp([router], () => undefined),
    "127.0.0.1",
    0,
  );
});

afterEach(async () => {
  release();
  for (const socket of sockets) socket.destroy();
  await server.close();
});

/** Sends the head and the beginning of a body, and then nothing more. */
async function startSlowly(declaredBytes: number): Promise<Socket> {
  const socket = connect(server.port, "127.0.0.1");
  sockets.push(socket);
  await once(socket, "connect");
  socket.on("error", () => undefined);
  socket.write(
    `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${String(declaredBytes)}\r\n\r\n{`,
  );
  return socket;
}

async function post(
  body: string | Buffer | ReadableStream,
  headers: Record<string, string> = {},
): Promise<number> {
  const { status } = await fetch(`http://127.0.0.1:${String(server.port)}/`, {
    method: "POST",
    headers: {
      connection: "close",
      "content-type": "application/json",
      ...headers,
    },
    body,
    duplex: "half",
  });
  return status;
}

/** A body of which fetch does not say the length. */
function inChunks(text: string): ReadableStream {
  return new ReadableStream({
    start: (controller) => {
      for (let at = 0; at < text.length; at += 40)
        controller.enqueue(Buffer.from(text.slice(at, at + 40)));
      controller.close();
    },
  });
}

const until = (status: number, body: string) =>
  waitFor(async () => (await post(body)) === status, {
    what: `an answer ${String(status)}`,
  });

describe("places for requests", () => {
  test("who finds none is refused at once, and who comes when one is free is not", async () => {
    const held = [post("held"), post("held")];
    await until(503, "{}");

    release();

    expect(await Promise.all(held)).toEqual([200, 200]);
    expect(await post("{}")).toBe(200);
  });

  test("a body that drips gives way to one that is there", async () => {
    const slow = await Promise.all([startSlowly(10), startSlowly(10)]);
    const closed = Promise.race(slow.map((socket) => once(socket, "close")));
    await until(503, "{}");

    await until(200, "{}");

    await closed;
    expect(slow.filter((socket) => !socket.destroyed)).toHaveLength(1);
  });

  test("a request that waits for its answer gives way to nobody", async () => {
    const held = post("held");
    await startSlowly(10);
    await until(503, "{}");
    await until(200, "{}");
    const alsoHeld = post("held");

    await until(503, "{}");
    release();

    expect(await Promise.all([held, alsoHeld])).toEqual([200, 200]);
  });

  test("who holds the places for large bodies takes none from the small", async () => {
    await startSlowly(1_000);

    await until(503, "x".repeat(1_000));

    expect(await post("{}")).toBe(200);
  });

  test("a body in chunks is small until it has passed the limit", async () => {
    const large = post("held".padEnd(200, "x"));
    await until(503, "x".repeat(200));

    expect(await post(inChunks("x".repeat(90)))).toBe(200);
    expect(await post(inChunks("x".repeat(200)))).toBe(503);

    release();
    expect(await large).toBe(200);
    expect(await post(inChunks("x".repeat(200)))).toBe(200);
  });

  test("a compressed body is small until what it becomes has passed the limit", async () => {
    const large = post("held".padEnd(200, "x"));
    await until(503, "x".repeat(200));
    const gzip = { "content-encoding": "gzip" };

    expect(await post(gzipSync("x".repeat(20)), gzip)).toBe(200);
    expect(await post(gzipSync("x".repeat(2_000)), gzip)).toBe(503);

    release();
    expect(await large).toBe(200);
    expect(await post(gzipSync("x".repeat(2_000)), gzip)).toBe(200);
  });

  test("one that has become large has left its place for small ones, and leaves the other when it is over", async () => {
    const held = post(inChunks("held".padEnd(200, "x")));
    await until(503, "x".repeat(200));
    expect(await Promise.all([post("{}"), post("{}")])).toEqual([200, 200]);

    release();

    expect(await held).toBe(200);
    expect(await post("x".repeat(200))).toBe(200);
  });

  test("requests that waited behind another one leave their places when their connection ends", async () => {
    const socket = connect(server.port, "127.0.0.1");
    sockets.push(socket);
    await once(socket, "connect");
    const held =
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nheld";
    socket.write(held.repeat(PLACES));
    await until(503, "{}");

    socket.destroy();
    await until(200, "{}");
    const heldAgain = post("held");
    await until(200, "{}");

    release();
    expect(await heldAgain).toBe(200);
  });

  test("a connection that sends on and never reads its answers is closed", async () => {
    const socket = connect(server.port, "127.0.0.1");
    sockets.push(socket);
    socket.on("error", () => undefined);
    const closed = once(socket, "close");
    await once(socket, "connect");
    const request =
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    // Nobody reads: once the buffers between are full, answers are not over any more.
    const goOn = () => {
      while (socket.writable && socket.write(request.repeat(100)));
    };
    socket.on("drain", goOn);

    goOn();

    await closed.catch(() => undefined);
    expect(socket.destroyed).toBe(true);
    expect(await post("{}")).toBe(200);
  });
});
