// What a sender puts on the wire: UQPAY's published payloads, signed as UQPAY signs.
import { readFileSync, readdirSync } from "node:fs";
import http from "node:http";
import { sign } from "../../dist/src/uqpay/signature.js";
import { SECRET } from "./system.mjs";

const FIXTURES = new URL("../fixtures/", import.meta.url);
const NOT_PAYLOADS = new Set(["index.json", "signature-vectors.json"]);

/** @typedef {{ name: string, bytes: Buffer, value: Record<string, any> }} Payload */

/** Every published payload, as it stands in its file. @returns {Payload[]} */
export function readPayloads() {
  return readdirSync(FIXTURES)
    .filter((file) => file.endsWith(".json") && !NOT_PAYLOADS.has(file))
    .map((name) => {
      const bytes = readFileSync(new URL(name, FIXTURES));
      return { name, bytes, value: JSON.parse(bytes.toString("utf8")) };
    });
}

/** @param {Buffer | string} body @param {{ secret?: string, timestamp?: string }} [options] */
export function signedHeaders(
  body,
  { secret = SECRET, timestamp = String(Date.now()) } = {},
) {
  return {
    "content-type": "application/json",
    "x-wk-timestamp": timestamp,
    "x-wk-signature": sign(body, timestamp, secret),
  };
}

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {http.IncomingHttpHeaders} headers
 * @property {string} text
 */

/**
 * Posts and reads the whole answer.
 *
 * @param {{ port: number, agent?: http.Agent | false, headers: http.OutgoingHttpHeaders | readonly string[],
 *   body?: Buffer | readonly Buffer[], method?: string, path?: string, timeoutMs?: number }} request
 * @returns {Promise<Answer>} rejects where the connection ends without an answer
 */
export function post({
  port,
  agent,
  headers,
  body = Buffer.alloc(0),
  method = "POST",
  path = "/webhooks/uqpay",
  timeoutMs = 30_000,
}) {
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: "127.0.0.1",
      port,
      method,
      path,
      agent,
      headers: /** @type {any} */ (headers),
    });
    const timer = setTimeout(
      () => request.destroy(new Error("no answer in time")),
      timeoutMs,
    );
    /** @type {Answer | undefined} */
    let answer;
    request.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => (text += chunk));
      response.on("error", reject);
      response.on("end", () => {
        answer = {
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
        };
        resolve(answer);
      });
    });
    request.on("error", reject);
    request.on("close", () => {
      clearTimeout(timer);
      if (answer === undefined) reject(new Error("closed without an answer"));
    });
    if (Array.isArray(body)) {
      // Without a declared length Node sends each part as a chunk.
      for (const part of body) request.write(part);
      request.end();
    } else request.end(body);
  });
}
