// The senders: as fast as the answers come, or at a fixed rate.
import { once } from "node:events";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import autocannon from "autocannon";
import { makeDelivery } from "./events.mjs";

/**
 * @typedef {object} Load
 * @property {number} accepted answers with 200
 * @property {number} refused other answers
 * @property {number} failed requests without an answer
 * @property {number} seconds
 * @property {number[]} latencies in ms
 */

/**
 * Closed loop: each connection sends its next request when it has its answer.
 *
 * @param {number} port @param {{ connections: number } & ({ duration: number } | { amount: number })} options
 * @returns {Promise<Load>}
 */
export async function sendInTurn(port, options) {
  /** @type {number[]} */
  const latencies = [];
  const run = autocannon({
    url: `http://127.0.0.1:${String(port)}`,
    requests: [
      { setupRequest: (defaults) => ({ ...defaults, ...makeDelivery() }) },
    ],
    ...options,
  });
  // Its own figures are in whole milliseconds.
  run.on("response", (_client, _status, _bytes, ms) => latencies.push(ms));
  const result = await run;
  return {
    accepted: result.statusCodeStats["200"]?.count ?? 0,
    refused: latencies.length - (result.statusCodeStats["200"]?.count ?? 0),
    failed: result.errors,
    seconds: (result.finish.getTime() - result.start.getTime()) / 1000,
    latencies,
  };
}

/**
 * Open loop: sends at fixed times, whether or not answers come. A latency counts from the time at which the request was
 * due, so that a server that stands still is seen in all that had to wait.
 *
 * @param {number} port @param {{ rate: number, seconds: number }} options
 * @returns {Promise<Load>}
 */
export async function sendAtRate(port, { rate, seconds }) {
  const agent = new Agent({ keepAlive: true });
  /** @type {Promise<{ status: number | undefined, ms: number }>[]} */
  const answers = [];
  const startedAt = performance.now();
  while (answers.length < rate * seconds) {
    const dueAt = startedAt + (answers.length / rate) * 1000;
    const early = dueAt - performance.now();
    if (early > 0) await sleep(early);
    answers.push(sendOne(agent, port, dueAt));
  }
  const ended = await Promise.all(answers);
  agent.destroy();
  const answered = ended.filter(({ status }) => status !== undefined);
  const accepted = answered.filter(({ status }) => status === 200).length;
  return {
    accepted,
    refused: answered.length - accepted,
    failed: ended.length - answered.length,
    seconds: (performance.now() - startedAt) / 1000,
    latencies: answered.map(({ ms }) => ms),
  };
}

/** @param {Agent} agent @param {number} port @param {number} dueAt */
async function sendOne(agent, port, dueAt) {
  const { body, ...delivery } = makeDelivery();
  const sent = request({ agent, host: "127.0.0.1", port, ...delivery });
  sent.setTimeout(10_000, () => sent.destroy());
  sent.end(body);
  try {
    const [response] = await once(sent, "response");
    response.resume();
    await once(response, "end");
    return { status: response.statusCode, ms: performance.now() - dueAt };
  } catch {
    return { status: undefined, ms: NaN };
  }
}
