import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Config } from "../config.ts";
import type { EventJson } from "../send-event.ts";
import { postSigned, readExample, withField } from "../send-event.ts";
import { print } from "./print.ts";
import { readOptions } from "./read-options.ts";
import { UsageError } from "./usage-error.ts";

export const SEND_USAGE = `send <file.json or event type> [--url URL] [--secret SECRET] [--set data.card_status=FROZEN …] [--new-id]
      signs and posts an event, prints the answer`;

export async function send(
  args: readonly string[],
  config: Config,
): Promise<void> {
  const { values, positionals } = readOptions(
    args,
    {
      url: { type: "string" },
      secret: { type: "string" },
      set: { type: "string", multiple: true },
      "new-id": { type: "boolean" },
    },
    SEND_USAGE,
    true,
  );
  const [source] = positionals;
  if (source === undefined || positionals.length > 1)
    throw new UsageError(`usage: ${SEND_USAGE}`);

  const changes = (values.set ?? []).map(readChange);
  const edited = changes.reduce(
    (event, [path, value]) => withField(event, path, value),
    await readEvent(source),
  );
  const event =
    values["new-id"] === true
      ? withField(edited, "event_id", randomUUID())
      : edited;

  const url =
    values.url ?? `http://127.0.0.1:${String(config.http.port)}/webhooks/uqpay`;
  const secret = values.secret ?? config.webhook.secrets[0] ?? "";
  const answer = await postSigned(
    url,
    JSON.stringify(event),
    secret,
    Date.now(),
  ).catch(() => {
    throw new UsageError(
      `Nothing answers at ${url}. Is the service running? (npm start)`,
    );
  });
  print(`${String(answer.status)} ${answer.text}\n`);
  if (answer.status !== 200) process.exitCode = 1;
}

/** The value is JSON where it reads as JSON, else text: `data.amount=5`, `data.card_status=FROZEN`. */
function readChange(change: string): [path: string, value: unknown] {
  const equals = change.indexOf("=");
  if (equals < 1)
    throw new UsageError(`--set ${change}: write it as path=value`);
  const text = change.slice(equals + 1);
  return [change.slice(0, equals), readValue(text)];
}

function readValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function readEvent(source: string): Promise<EventJson> {
  try {
    if (!source.endsWith(".json")) return await readExample(source);
    return JSON.parse(await readFile(source, "utf8")) as EventJson;
  } catch {
    throw new UsageError(
      `${source}: neither a JSON file nor an event type with an example`,
    );
  }
}
