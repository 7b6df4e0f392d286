import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { createApp } from "../../src/http/app.ts";
import type { ListeningServer } from "../../src/http/server.ts";
import { listen } from "../../src/http/server.ts";
import { webhookRoute } from "../../src/http/webhook-route.ts";
import type { Receipt } from "../../src/receive-webhook.ts";

const REQUEST =
  "POST /webhooks/uqpay HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
const SENDERS = 8;

/** What happened, in its order. */
let story: ("read" | "answered")[];
let receipt: Receipt;
let server: ListeningServer;
let sockets: Socket[];

beforeEach(async () => {
  story = [];
  const webhook = webhookRoute({
    receive: async () => {
      story.push("read");
      return receipt;
    },
    allowedAddresses: undefined,
    metrics: { answered: () => story.push("answered") },
    onRefused: () => undefined,
    onUnavailable: () => undefined,
  });
  server = await listen(
    createApp([webhook], () => undefined, undefined),
    "127.0.0.1",
    0,
  );
  sockets = await Promise.all(
    Array.from({ length: SENDERS }, async () => {
      const socket = connect(server.port, "127.0.0.1");
      await once(socket, "connect");
      return socket;
    }),
  );
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await server.close();
});

async function sendOnAll() {
  for (const socket of sockets) socket.write(REQUEST);
  await Promise.all(sockets.map((socket) => once(socket, "data")));
}

/** All of them are there when the server looks: it has accepted their connections before. */
async function sendTogether() {
  await sendOnAll();
  story = [];
  await sendOnAll();
}

describe("requests that come together", () => {
  test.each(["missing-signature", "invalid-signature"] as const)(
    "with %s are all read before the first is answered",
    async (kind) => {
      receipt = { kind };

      await sendTogether();

      expect(story.slice(0, SENDERS)).toEqual(Array(SENDERS).fill("read"));
      expect(story.slice(SENDERS)).toEqual(Array(SENDERS).fill("answered"));
    },
  );

  test("that are genuine are answered as soon as they are stored", async () => {
    receipt = { kind: "accepted", eventId: "an-event" };

    await sendTogether();

    expect(story.slice(0, SENDERS)).toContain("answered");
  });
});
