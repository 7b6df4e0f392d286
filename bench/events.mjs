// New events as UQPAY would send them: its published payloads under new ids, signed now.
import { createHmac, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

export const SECRET = "whsec_benchmark";

/** As many as a mid-sized card programme has in motion at once. */
const CARDS = 5_000;

/** The payloads with the most fields of their kind, and how many of twenty events are one: most are authorizations. */
const MIX = /** @type {const} */ ([
  ["issuing.transaction.authorization--docs-v1.6-webhook-transaction", 11],
  [
    "issuing.transaction.authorization--docs-v1.6-spending-controls-mcc-declined",
    1,
  ],
  ["card.update.succeeded--docs-v1.6-webhook-card-updated", 5],
  ["card.status.update.succeeded--docs-v1.6-webhook-card-status-updated", 3],
]);

const templates = MIX.flatMap(([name, share]) =>
  Array(share).fill(readTemplate(name)),
);
const cards = Array.from({ length: CARDS }, () => randomUUID());

/** A payload as text, about a kilobyte, with a mark where each event has a value of its own. @param {string} name */
function readTemplate(name) {
  const file = new URL(`../test/fixtures/${name}.json`, import.meta.url);
  const event = JSON.parse(readFileSync(file, "utf8"));
  const data = { ...event.data, card_id: "<card>" };
  if ("transaction_id" in data) data.transaction_id = "<transaction>";
  if ("transaction_time" in data) data.transaction_time = "<now>";
  if ("update_time" in data) data.update_time = "<now>";
  return JSON.stringify(
    { ...event, event_id: "<event>", source_id: "<source>", data },
    undefined,
    2,
  );
}

/** The next delivery, of a card chosen at random. */
export function makeDelivery() {
  const timestamp = String(Date.now());
  const body = pick(templates)
    .replace("<event>", randomUUID())
    .replace("<source>", randomUUID())
    .replace("<card>", pick(cards))
    .replace("<transaction>", randomUUID())
    .replace("<now>", new Date().toISOString());
  const signature = createHmac("sha512", SECRET)
    .update(body)
    .update(timestamp)
    .digest("hex");
  return {
    method: "POST",
    path: "/webhooks/uqpay",
    headers: {
      "content-type": "application/json",
      "x-wk-timestamp": timestamp,
      "x-wk-signature": signature,
    },
    body,
  };
}

/** @template Value @param {readonly Value[]} values @returns {Value} */
function pick(values) {
  return /** @type {Value} */ (
    values[Math.floor(Math.random() * values.length)]
  );
}
