// The least that can refuse a forged request: node:http and the same HMAC.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const secret = process.env.UQPAY_WEBHOOK_SECRET ?? "";

const server = createServer((request, response) => {
  /** @type {Buffer[]} */
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const isGenuine = verify(
      Buffer.concat(chunks),
      String(request.headers["x-wk-timestamp"]),
      String(request.headers["x-wk-signature"]),
    );
    const body = JSON.stringify(
      isGenuine
        ? { status: "accepted" }
        : { error: { code: "invalid_signature" } },
    );
    response.writeHead(isGenuine ? 200 : 401, {
      "Content-Type": "application/json",
      "Content-Length": Buffer.byteLength(body),
    });
    response.end(body);
  });
});

/** @param {Buffer} body @param {string} timestamp @param {string} signature */
function verify(body, timestamp, signature) {
  const right = createHmac("sha512", secret)
    .update(body)
    .update(timestamp)
    .digest();
  const claimed = Buffer.from(signature, "hex");
  return claimed.length === right.length && timingSafeEqual(claimed, right);
}

server.listen(0, "127.0.0.1", () => {
  const { port } = /** @type {import("node:net").AddressInfo} */ (
    server.address()
  );
  process.stdout.write(`${JSON.stringify({ port, msg: "listening" })}\n`);
});
process.once("SIGTERM", () => process.exit());
