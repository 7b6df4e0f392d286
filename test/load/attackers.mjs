// The senders of overload.mjs that do not behave. They run in a thread of their own, so that the time they take
// is not taken from the genuine sender whose latency is measured.
import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { signedHeaders } from "./deliveries.mjs";

/**
 * @typedef {object} Attack
 * @property {keyof typeof attacks} kind
 * @property {number} port
 * @property {number} connections
 * @property {number} seconds
 * @property {number} [rate] requests a second over all connections; 0: each waits for its answer
 */

/** @typedef {{ offered: number, opened: number, answers: Record<string, number>, accepted: string[], faults: string[] }} Outcome */

/** An event as its bytes on the wire, signed now. */
export function freshRequest() {
  const body = JSON.stringify({
    version: "V1.6.0",
    event_name: "ISSUING",
    event_type: "card.status.update.succeeded",
    event_id: randomUUID(),
    source_id: randomUUID(),
    data: {
      card_id: `load-${String(Math.floor(Math.random() * 5_000))}`,
      card_number: "40963608****8664",
      card_status: Math.random() < 0.5 ? "FROZEN" : "ACTIVE",
      update_reason: "load",
      update_time: new Date().toISOString(),
    },
  });
  const head = Object.entries(signedHeaders(body)).map((h) => h.join(": "));
  return `${HEAD}${head.join("\r\n")}\r\nContent-Length: ${String(Buffer.byteLength(body))}\r\n\r\n${body}`;
}

const HEAD = "POST /webhooks/uqpay HTTP/1.1\r\nHost: x\r\n";
const UNSIGNED = `${HEAD}Content-Type: application/json\r\nx-wk-timestamp: 1\r\nx-wk-signature: ${"0".repeat(128)}\r\n`;

/** @type {Outcome} */
const outcome = {
  offered: 0,
  opened: 0,
  answers: {},
  accepted: [],
  faults: [],
};
let isOver = false;

/** @param {string} what */
function count(what) {
  outcome.answers[what] = (outcome.answers[what] ?? 0) + 1;
}

/**
 * A connection that reads its answers, in their order.
 *
 * @param {number} port @param {(socket: import("node:net").Socket) => void} onAnswer @param {() => void} [onEnd]
 */
function open(port, onAnswer, onEnd = () => undefined) {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("connect", () => outcome.opened++);
  socket.on("data", (data) => {
    text += data.toString("latin1");
    for (
      let rest = takeAnswer(text);
      rest !== undefined;
      rest = takeAnswer(text)
    ) {
      text = rest;
      onAnswer(socket);
    }
  });
  socket.on("error", () => undefined);
  socket.on("close", onEnd);
  return socket;
}

/** Counts the first whole answer in the text. @param {string} text @returns {string | undefined} the rest */
function takeAnswer(text) {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = text.slice(0, end);
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  if (text.length < end + 4 + length) return undefined;
  const status = head.slice(9, 12);
  const body = text.slice(end + 4, end + 4 + length);
  count(status);
  if (status === "200") {
    const { status: word, event_id: id } = JSON.parse(body);
    if (word === "accepted") outcome.accepted.push(id);
    else outcome.faults.push(`200 ${body}`);
  } else if (status === "503" && !/\r\nretry-after: \d+/i.test(head)) {
    outcome.faults.push(`503 without Retry-After: ${head}`);
  } else if (status.startsWith("5") && status !== "503") {
    outcome.faults.push(`${head} ${body}`);
  }
  return text.slice(end + 4 + length);
}

/** Genuine events, more than can be taken. With a rate, requests are sent on time whatever came back. @param {Attack} attack */
async function flood({ port, connections, seconds, rate = 0 }) {
  const isClosedLoop = rate === 0;
  /** @type {import("node:net").Socket[]} */
  const sockets = [];
  const send = (/** @type {import("node:net").Socket} */ socket) => {
    outcome.offered++;
    socket.write(freshRequest());
  };
  const reopen = (/** @type {number} */ index) => {
    if (isOver) return;
    const socket = open(
      port,
      (answered) => {
        if (isClosedLoop && !isOver) send(answered);
      },
      () => {
        count("closed");
        setTimeout(() => reopen(index), 20);
      },
    );
    if (isClosedLoop) socket.once("connect", () => send(socket));
    sockets[index] = socket;
  };
  for (let index = 0; index < connections; index++) reopen(index);
  const startedAt = performance.now();
  for (let turn = 0; performance.now() - startedAt < seconds * 1000;) {
    const due = ((performance.now() - startedAt) / 1000) * rate;
    // At most so many in one go, or nothing is read in between.
    for (let burst = 0; outcome.offered < due && burst < 2_000; burst++) {
      const socket = sockets[turn++ % connections];
      if (socket?.writable && socket.writableLength < 65_536) send(socket);
      else {
        outcome.offered++;
        count("not sent: the connection takes no more");
      }
    }
    await sleep(5);
  }
  // What is under way may still be answered.
  isOver = true;
  await sleep(3_000);
  for (const socket of sockets) socket.destroy();
}

/**
 * Opens connections, sends to each what `begin` gives and then every `everyMs` what `more` gives.
 *
 * @param {Attack} attack @param {{ begin: string | Buffer, more?: (turn: number) => string | Buffer, everyMs?: number,
 *   reads?: boolean, reopens?: boolean }} what
 */
async function hold(
  { port, connections, seconds },
  { begin, more, everyMs = 100, reads = true, reopens = true },
) {
  /** @type {Set<import("node:net").Socket>} */
  const sockets = new Set();
  let connecting = 0;
  const add = () => {
    if (isOver) return;
    connecting++;
    const socket = open(
      port,
      () => undefined,
      () => {
        sockets.delete(socket);
        count("closed");
        if (reopens) setTimeout(add, 200);
      },
    );
    if (!reads) socket.pause();
    socket.once("connect", () => {
      connecting--;
      sockets.add(socket);
      outcome.offered++;
      socket.write(begin);
    });
    socket.once("error", () => connecting--);
  };
  const startedAt = performance.now();
  let missing = connections;
  for (let turn = 0; performance.now() - startedAt < seconds * 1000; turn++) {
    // The listen queue takes only so many at once.
    for (
      let burst = 0;
      missing > 0 && burst < 200 && connecting < 400;
      burst++, missing--
    )
      add();
    await sleep(everyMs);
    if (more === undefined) continue;
    for (const socket of sockets)
      if (socket.writable && socket.writableLength < 262_144)
        socket.write(more(turn));
  }
  count(`held at the end: ${String(sockets.size)}`);
  isOver = true;
  for (const socket of sockets) socket.destroy();
}

/** One byte of a body to a chunk: six bytes on the wire, and an object in memory if nobody joins them. */
const TINY_CHUNKS = "1\r\nx\r\n".repeat(10_000);

const attacks = {
  flood,
  "slow bodies": (/** @type {Attack} */ attack) =>
    hold(attack, {
      begin: `${UNSIGNED}Content-Length: 1000\r\n\r\n{`,
      more: () => " ",
    }),
  "idle connections": (/** @type {Attack} */ attack) =>
    hold(attack, { begin: "" }),
  "slow headers": (/** @type {Attack} */ attack) =>
    hold(attack, {
      begin: HEAD,
      more: (turn) => `x-${String(turn)}: y\r\n`,
      everyMs: 500,
    }),
  "endless headers": (/** @type {Attack} */ attack) =>
    hold(attack, {
      begin: HEAD,
      more: () => `x-y: ${"z".repeat(1_000)}\r\n`,
      everyMs: 20,
    }),
  "large bodies held open": (/** @type {Attack} */ attack) =>
    hold(attack, {
      begin: `${UNSIGNED}Content-Length: 262144\r\n\r\n${" ".repeat(262_000)}`,
    }),
  "huge bodies declared": (/** @type {Attack} */ attack) =>
    hold(attack, {
      begin: `${UNSIGNED}Content-Length: 9000000000\r\n\r\n${" ".repeat(60_000)}`,
      more: () => " ".repeat(10_000),
    }),
  "tiny chunks": (/** @type {Attack} */ attack) =>
    hold(attack, {
      begin: `${UNSIGNED}Transfer-Encoding: chunked\r\n\r\n`,
      more: () => TINY_CHUNKS,
      everyMs: 50,
    }),
  "answers never read": (/** @type {Attack} */ attack) =>
    hold(attack, {
      begin: "",
      reads: false,
      more: () => `${UNSIGNED}Content-Length: 2\r\n\r\n{}`.repeat(50),
      everyMs: 50,
    }),
};

if (parentPort !== null && workerData?.kind !== undefined) {
  const attack = /** @type {Attack} */ (workerData);
  await attacks[attack.kind](attack);
  parentPort.postMessage(outcome);
}
