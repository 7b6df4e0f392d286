import { readFileSync, readdirSync } from "node:fs";
import { sign } from "../../src/uqpay/signature.ts";

const directory = new URL("../fixtures/", import.meta.url);

/** The names of the payloads that UQPAY published, without `.json`. */
export function payloadNames(): string[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.replace(/\.json$/, ""))
    .filter((name) => name !== "index" && name !== "signature-vectors");
}

/** The file as it is, byte for byte. @param name with or without `.json` */
export function fileBytes(name: string): Buffer {
  return readFileSync(
    new URL(name.endsWith(".json") ? name : `${name}.json`, directory),
  );
}

/** The payload in one line, as UQPAY sends it. @param name with or without `.json` */
export function compactBytes(name: string): Buffer {
  return Buffer.from(JSON.stringify(payload(name)));
}

/** An event as it stands in its file; a copy that may be changed. */
export interface Payload {
  version: string;
  event_name: string;
  event_type: string;
  event_id: string;
  source_id: string;
  data: Record<string, unknown>;
}

export function payload(name: string): Payload {
  return JSON.parse(fileBytes(name).toString("utf8")) as Payload;
}

/** The headers with which UQPAY delivers a body. */
export function signedHeaders(
  body: Buffer | string,
  { secret, atMs }: { readonly secret: string; readonly atMs: number },
): Record<string, string> {
  const timestamp = String(atMs);
  return {
    "content-type": "application/json",
    "x-wk-timestamp": timestamp,
    "x-wk-signature": sign(body, timestamp, secret),
  };
}
