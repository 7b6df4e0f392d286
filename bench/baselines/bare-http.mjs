// The least that can refuse a forged request: node:http and the same HMAC.
import { createServer } from "node:http";
import { isGenuine } from "./is-genuine.mjs";

const server = createServer((request, response) => {
  /** @type {Buffer[]} */
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const isRight = isGenuine(
      Buffer.concat(chunks),
      String(request.headers["x-wk-timestamp"]),
      String(request.headers["x-wk-signature"]),
    );
    const body = JSON.stringify(
      isRight
        ? { status: "accepted" }
        : { error: { code: "invalid_signature" } },
    );
    response.writeHead(isRight ? 200 : 401, {
      "Content-Type": "application/json",
      "Content-Length": Buffer.byteLength(body),
    });
    response.end(body);
  });
});

server.listen(0, "127.0.0.1", () => {
  const { port } = /** @type {import("node:net").AddressInfo} */ (
    server.address()
  );
  process.stdout.write(`${JSON.stringify({ port, msg: "listening" })}\n`);
});
process.once("SIGTERM", () => process.exit());
