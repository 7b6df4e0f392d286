import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { WEBHOOK_ERRORS } from "../../src/http/error-codes.ts";
import type { ListeningServer } from "../../src/http/server.ts";
import { createApp, listen } from "../../src/http/server.ts";
import { webhookRoute } from "../../src/http/webhook-route.ts";
import type { Receipt } from "../../src/receive-webhook.ts";
import { QUARANTINE_REASONS } from "../../src/store/database.ts";
import { waitFor } from "../support/wait-for.ts";

const REQUEST =
  "POST /webhooks/uqpay HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
const SENDERS = 8;

/** What happened, in its order: "received", or with what outcome one was answered. */
let story: string[];
let receive: () => Promise<Receipt>;
let server: ListeningServer;
let sockets: Socket[];

beforeEach(async () => {
  story = [];
  const webhook = webhookRoute({
    receive: () => {
      story.push("received");
      return receive();
    },
    allowedAddresses: undefined,
    trustedProxies: undefined,
    metrics: { answered: (outcome) => story.push(outcome) },
    onRefused: () => undefined,
    onUnavailable: () => undefined,
  });
  server = await listen(
    createApp([webhook], () => undefined),
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

describe("requests that come together", () => {
  test("are answered each as soon as it is stored, whatever the others wait for", async () => {
    const accepted = { kind: "accepted", eventId: "an-event" } as const;
    let isFirst = true;
    receive = async () => {
      const waits = !isFirst;
      isFirst = false;
      if (waits)
        await waitFor(hasAnAnswer, { what: "an answer", timeoutMs: 2_000 });
      return accepted;
    };

    await sendOnAll();

    // Else the others would have waited in vain, and been told to try again.
    expect(story.filter(isAnswer)).toEqual(Array(SENDERS).fill("accepted"));
  });
});

test("what is refused and kept has one word for both", () => {
  const codes = [...Object.keys(WEBHOOK_ERRORS), "event_id_conflict"];

  expect(codes).toEqual(expect.arrayContaining([...QUARANTINE_REASONS]));
});

function hasAnAnswer(): Promise<boolean> {
  return Promise.resolve(story.some(isAnswer));
}

function isAnswer(event: string): boolean {
  return event !== "received";
}
