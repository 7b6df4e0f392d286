import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { verifySignature } from "../../src/uqpay/signature.ts";
import { SECRET } from "./service.ts";

/** A webhook that came. */
export interface Received {
  readonly body: string;
  readonly timestamp: string;
  readonly signature: string;
  /** "valid", "stale", … by the secret of the tests. */
  readonly verdict: string;
  readonly atMs: number;
}

export interface Receiver {
  readonly url: string;
  readonly received: Received[];
  readonly stop: () => Promise<void>;
}

/** Takes webhooks and keeps them. @param statusOf of the answer to the nth one, from 1 */
export async function startReceiver(
  statusOf: (count: number) => number = () => 200,
): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const rawBody = Buffer.concat(parts);
      const timestamp = String(request.headers["x-wk-timestamp"]);
      const signature = String(request.headers["x-wk-signature"]);
      const rules = { secrets: [SECRET], toleranceSeconds: 300 };
      const delivery = { rawBody, signature, timestamp };
      const { kind } = verifySignature(delivery, rules, Date.now());
      received.push({
        body: rawBody.toString("utf8"),
        timestamp,
        signature,
        verdict: kind,
        atMs: performance.now(),
      });
      response.writeHead(statusOf(received.length)).end();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/webhooks/uqpay`,
    received,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
