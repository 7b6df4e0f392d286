// Realistic events that nobody has sent yet: UQPAY's published payloads under new ids, signed now.
import { randomUUID } from "node:crypto";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { sign } from "../../dist/src/uqpay/signature.js";
import { createRandom } from "../../scripts/measuring/numbers.mjs";

export const SECRET = "whsec_benchmark";

/** As many as a mid-sized card programme has in motion at once; each gets events all along. */
const CARDS = 5_000;

/** The payloads with the most fields of their kind, and their shares: most of what a programme is sent are authorizations. */
const MIX = /** @type {const} */ ([
  [
    "issuing.transaction.authorization--docs-v1.6-webhook-transaction.json",
    0.55,
  ],
  [
    "issuing.transaction.authorization--docs-v1.6-spending-controls-mcc-declined.json",
    0.05,
  ],
  ["card.update.succeeded--docs-v1.6-webhook-card-updated.json", 0.25],
  [
    "card.status.update.succeeded--docs-v1.6-webhook-card-status-updated.json",
    0.15,
  ],
]);

const TEMPLATES = MIX.map(([file, share]) => ({
  value: JSON.parse(
    readFileSync(
      new URL(`../../test/fixtures/${file}`, import.meta.url),
      "utf8",
    ),
  ),
  share,
}));

const random = createRandom(1);
const cards = Array.from({ length: CARDS }, () => randomUUID());

/**
 * @typedef {object} NewEvent
 * @property {string} eventId
 * @property {string} eventType
 * @property {string} cardId
 * @property {string} body as published, indented: about a kilobyte
 */

/** @param {{ codes?: number | undefined }} [options] codes: how long the list of a card update is @returns {NewEvent} */
export function makeEvent({ codes } = {}) {
  let at = random();
  const { value } =
    TEMPLATES.find(({ share }) => (at -= share) < 0) ?? TEMPLATES[0];
  const eventId = randomUUID();
  const cardId = cards[Math.floor(random() * CARDS)] ?? "";
  const data = { ...value.data, card_id: cardId };
  const now = new Date().toISOString();
  if ("transaction_id" in data) data.transaction_id = randomUUID();
  if ("transaction_time" in data) data.transaction_time = now;
  if ("update_time" in data) data.update_time = now;
  if ("risk_control" in data && codes !== undefined)
    data.risk_control = { ...data.risk_control, blocked_mcc: listOf(codes) };
  const event = { ...value, event_id: eventId, source_id: randomUUID(), data };
  const body = JSON.stringify(event, undefined, 2);
  return { eventId, eventType: value.event_type, cardId, body };
}

/** @param {number} count */
function listOf(count) {
  return Array.from({ length: count }, (_, index) =>
    String(index).padStart(4, "0"),
  );
}

/** @param {string} body @param {string} secret */
function requestOf(body, secret) {
  const timestamp = String(Date.now());
  return [
    "POST /webhooks/uqpay HTTP/1.1",
    "Host: 127.0.0.1",
    "Content-Type: application/json",
    `x-wk-timestamp: ${timestamp}`,
    `x-wk-signature: ${sign(body, timestamp, secret)}`,
    `Content-Length: ${String(Buffer.byteLength(body))}`,
    "",
    body,
  ].join("\r\n");
}

/** Of duplicates, how far back the first delivery may lie: UQPAY repeats within minutes. */
const RECENT = 1_000;
const WRITE_AT_BYTES = 1 << 20;

/**
 * Writes requests to a file, as the senders of `load/` read them: eight digits of length, then the request.
 *
 * @param {string} path @param {number} count
 * @param {{ copies?: number, isForged?: boolean }} [options] copies: the share that repeats an earlier request
 */
export function writeRequests(
  path,
  count,
  { copies = 0, isForged = false } = {},
) {
  const file = openSync(path, "w");
  /** @type {string[]} */
  const recent = [];
  let pending = "";
  for (let index = 0; index < count; index++) {
    const isCopy = recent.length > 0 && random() < copies;
    const request = isCopy
      ? (recent[Math.floor(random() * recent.length)] ?? "")
      : requestOf(makeEvent().body, isForged ? "whsec_wrong" : SECRET);
    if (copies > 0 && !isCopy && recent.push(request) > RECENT) recent.shift();
    const length = String(Buffer.byteLength(request)).padStart(8, "0");
    pending += length + request;
    if (pending.length < WRITE_AT_BYTES && index < count - 1) continue;
    writeSync(file, pending);
    pending = "";
  }
  closeSync(file);
}
