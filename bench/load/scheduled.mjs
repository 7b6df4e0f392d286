// Open loop: sends at scheduled times, whether or not answers come, and measures from the scheduled time, so that
// waiting is seen, too. Without a rate everything is due at once: then it delivers a file as fast as it is answered.
//
//   node scheduled.mjs '{"port":3000,"file":"requests.bin","connections":256,"rate":2000,"seconds":10}'
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { quantile } from "../../scripts/measuring/numbers.mjs";
import { readRequests } from "./requests-file.mjs";

const {
  port,
  file,
  connections,
  rate = Infinity,
  seconds = Infinity,
} = JSON.parse(process.argv[2] ?? "");
/** Node's timers have no finer grain; what it adds is reported as `lateP99Ms`. */
const TICK_MS = 1;
/** After the last request, before what is unanswered counts as failed. */
const PATIENCE_MS = 10_000;

/** @typedef {{ socket: import("node:net").Socket, text: string, dueAt: number | undefined }} Connection dueAt: of the request under way */

/** @type {Connection[]} */
const idle = [];
/** @type {number[]} From the scheduled time, in ms. */
const latencies = [];
/** @type {number[]} How long after its time a request was written. */
const delays = [];
let sent = 0;
let refused = 0;
let failed = 0;
let isOver = false;
const requests = readRequests(file);

for (let index = 0; index < connections; index++) idle.push(await open());
const startedAt = performance.now();
const cpuBefore = process.cpuUsage();
await send();
const lastSentAt = performance.now();
while (
  latencies.length + failed < sent &&
  performance.now() < lastSentAt + PATIENCE_MS
)
  await sleep(5);
const endedAt = performance.now();
const { user, system } = process.cpuUsage(cpuBefore);
failed += sent - latencies.length - failed;
isOver = true;
process.stdout.write(
  `RESULT ${JSON.stringify({
    seconds: (endedAt - startedAt) / 1000,
    cpuSeconds: (user + system) / 1e6,
    requests: latencies.length,
    refused,
    failed,
    exhausted: 0,
    p50Ms: quantile(latencies, 0.5),
    p90Ms: quantile(latencies, 0.9),
    p99Ms: quantile(latencies, 0.99),
    maxMs: latencies.reduce((most, value) => Math.max(most, value), 0),
    lateP99Ms: quantile(delays, 0.99),
  })}\n`,
);
process.exit();

async function send() {
  let next = requests.next().value;
  while (next !== undefined) {
    const now = performance.now();
    if (now - startedAt > seconds * 1000) return;
    while (next !== undefined && idle.length > 0) {
      const dueAt = rate === Infinity ? now : startedAt + (sent / rate) * 1000;
      if (dueAt > now) break;
      // In turns: a server gives up one on which nothing comes, maybe in the moment in which something does.
      const connection = /** @type {Connection} */ (idle.shift());
      connection.dueAt = dueAt;
      delays.push(now - dueAt);
      connection.socket.write(next);
      sent++;
      next = requests.next().value;
    }
    await sleep(TICK_MS);
  }
}

/** @returns {Promise<Connection>} */
async function open() {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.setNoDelay(true);
  /** @type {Connection} */
  const connection = { socket, text: "", dueAt: undefined };
  socket.on("data", (chunk) => {
    // Not asked for: a server gives up a connection on which nothing comes (408) and closes it.
    if (connection.dueAt === undefined) return;
    connection.text += chunk.latin1Slice();
    if (!isComplete(connection.text)) return;
    latencies.push(performance.now() - connection.dueAt);
    if (connection.text.slice(9, 12) !== "200") refused++;
    connection.text = "";
    connection.dueAt = undefined;
    idle.push(connection);
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    if (isOver) return;
    const at = idle.indexOf(connection);
    if (at === -1) failed++;
    else idle.splice(at, 1);
    void open().then((fresh) => idle.push(fresh));
  });
  return connection;
}

/** One answer at a time, always with a length. @param {string} text */
function isComplete(text) {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd === -1) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0;
  return text.length >= headEnd + 4 + Number(length);
}
