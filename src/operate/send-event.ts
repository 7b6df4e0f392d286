import { readFile, readdir } from "node:fs/promises";
import { sign } from "../uqpay/signature.ts";

/** An event as UQPAY would send it. */
export type EventJson = Readonly<Record<string, unknown>>;

/** How the service answered. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

const examples = new URL("../../examples/", import.meta.url);

/** A type that no handler knows: it is stored, and changes no card. */
export const PING = "ping";

/** The event types that have an example. */
export async function listExamples(): Promise<string[]> {
  const names = await readdir(examples);
  return names
    .filter((name) => name.endsWith(".json"))
    .map((name) => name.replace(/\.json$/, ""))
    .toSorted();
}

/**
 * UQPAY's own published example of an event type.
 *
 * @throws when there is none
 */
export async function readExample(eventType: string): Promise<EventJson> {
  return JSON.parse(
    await readFile(new URL(`${eventType}.json`, examples), "utf8"),
  ) as EventJson;
}

/** Longer than any proxy waits. */
const PATIENCE_MS = 60_000;

/** Signs a body as UQPAY does and posts it. */
export async function postSigned(
  url: string,
  body: string,
  secret: string,
  nowMs: number,
): Promise<Answer> {
  const timestamp = String(nowMs);
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-wk-timestamp": timestamp,
      "x-wk-signature": sign(body, timestamp, secret),
    },
    body,
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return { status: response.status, text: await response.text() };
}

/**
 * The event with one field replaced.
 *
 * @param path dotted, such as `data.card_status`; objects on the way are made where they are missing
 */
export function withField(
  event: EventJson,
  path: string,
  value: unknown,
): EventJson {
  const [name = "", ...rest] = path.split(".");
  if (rest.length === 0) return { ...event, [name]: value };
  const inner = event[name];
  const object =
    typeof inner === "object" && inner !== null ? (inner as EventJson) : {};
  return { ...event, [name]: withField(object, rest.join("."), value) };
}
