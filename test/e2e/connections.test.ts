import { once } from "node:events";
import { afterEach, expect, test } from "@jest/globals";
import { aStatusUpdate, bytesOf, deliver } from "../support/deliveries.ts";
import { signedHeaders } from "../support/fixtures.ts";
import { openSocket, rawRequest, readAnswer } from "../support/raw-request.ts";
import type { TestService } from "../support/service.ts";
import { SECRET, startTestService } from "../support/service.ts";

const started: TestService[] = [];

afterEach(async () => {
  for (const service of started.splice(0)) await service.stop();
});

async function start(env: Record<string, string> = {}): Promise<TestService> {
  const service = await startTestService({ queue: "postgres", env });
  started.push(service);
  return service;
}

/** A delivery as it stands on the wire. */
function aDelivery(): Buffer {
  const body = bytesOf(aStatusUpdate());
  const headers = signedHeaders(body, { secret: SECRET, atMs: Date.now() });
  return rawRequest(
    Object.entries(headers).map((pair) => pair.join(": ")),
    body,
  );
}

test("a connection that was opened ahead is not late before its first byte, and is from then on", async () => {
  const service = await start();
  const ahead = await openSocket(service.port);
  const slow = await openSocket(service.port);
  const slowFromTheStart = await openSocket(service.port);
  slowFromTheStart.write("POST /webhooks/uqpay HTTP/1.1\r\nHost: x\r\n");

  // So long a request may take: its end says that the others have been open for longer.
  const late = await readAnswer(slowFromTheStart);
  ahead.write(aDelivery());
  slow.write("POST /webhooks/uqpay HTTP/1.1\r\nHost: x\r\n");

  expect(late.status).toBe(408);
  expect((await readAnswer(ahead)).status).toBe(200);
  expect((await readAnswer(slow)).status).toBe(408);
});

test("a connection without a request is closed after KEEP_ALIVE_SECONDS, before its first one and after", async () => {
  const service = await start({ KEEP_ALIVE_SECONDS: "1" });
  const never = await openSocket(service.port);
  const used = await openSocket(service.port);
  used.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");

  const openedAt = performance.now();
  let heard = "";
  never.on("data", (data) => (heard += String(data)));
  const closed = once(never, "close");
  const answer = await readAnswer(used);
  await closed;

  expect(answer.headers).toMatch(/^keep-alive: timeout=1$/im);
  expect(heard).toBe("");
  // Well before the time-outs of a request.
  expect(performance.now() - openedAt).toBeLessThan(4_500);
  expect((await deliver(service, aStatusUpdate())).status).toBe(200);
});
