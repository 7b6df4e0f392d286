import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Command } from "@commander-js/extra-typings";
import type { EventJson } from "../operate/send-event.ts";
import {
  PING,
  listExamples,
  postSigned,
  readExample,
  withField,
} from "../operate/send-event.ts";
import type { Context, Frame, Outcome } from "./frame.ts";
import { JSON_OPTION } from "./frame.ts";
import { findNearest } from "../process/near-miss.ts";
import { readDuration } from "./read-options.ts";
import { CommandError, UsageError } from "./usage-error.ts";

export function addSend(program: Command, frame: Frame): void {
  program
    .command("send")
    .summary("sign and post an event, print the answer")
    .description(
      "Signs and posts an event as UQPAY does, and prints the answer. Without a source it lists the examples. `send ping` is of a type without a handler: it is stored and changes no card, so it is safe in production.",
    )
    .argument("[source]", "a file that ends in .json, or an event type")
    .option("--url <url>", "where the service listens (this machine)")
    .option(
      "--secret <secret>",
      "signs with it (UQPAY_WEBHOOK_SECRET, which no list of processes shows)",
    )
    .option(
      "--set <path=value>",
      "replaces a field: data.card_status=FROZEN; may be repeated",
      readChange,
      [],
    )
    .option("--new-id", "gives it an event_id that was never used")
    .option("--age <duration>", "signed so long ago: 10m", readDuration)
    .option(...JSON_OPTION)
    .action((source, options) => {
      if (source !== undefined)
        return frame.run(options, (context) => send(context, source, options));
      const [other] = Object.keys(options).filter(
        (name) =>
          name !== "json" && !(name === "set" && options.set.length === 0),
      );
      if (other !== undefined)
        throw new UsageError(
          "error: say what is sent: a .json file or an event type. Without both, send lists the examples.",
        );
      return frame.run(options, list);
    });
}

type Change = readonly [path: string, value: unknown];

interface Options {
  readonly url?: string | undefined;
  readonly secret?: string | undefined;
  readonly set: readonly Change[];
  readonly newId?: true | undefined;
  readonly age?: number | undefined;
}

async function list(context: Context): Promise<Outcome> {
  const examples = [PING, ...(await listExamples())];
  context.print(`${examples.join("\n")}\n`);
  return { result: { examples } };
}

async function send(
  context: Context,
  source: string,
  options: Options,
): Promise<Outcome> {
  const { config } = context;
  const edited = options.set.reduce(
    (event, [path, value]) => withField(event, path, value),
    await readEvent(source),
  );
  const event =
    options.newId === true
      ? withField(edited, "event_id", randomUUID())
      : edited;
  const url =
    options.url ??
    `http://127.0.0.1:${String(config.http.port)}/webhooks/uqpay`;
  const secret = options.secret ?? config.webhook.secrets[0] ?? "";
  const signedMs = Date.now() - (options.age ?? 0);
  const { status, text } = await postSigned(
    url,
    JSON.stringify(event),
    secret,
    signedMs,
  ).catch(() => {
    throw new CommandError(
      `Nothing answers at ${url}. Is the service running? (npm start)`,
    );
  });
  context.print(`${String(status)} ${text}\n`);
  return {
    result: { event_id: event["event_id"], status, answer: text },
    foundSomething: status !== 200,
  };
}

/** The value is JSON where it reads as JSON, else text: `data.amount=5`, `data.card_status=FROZEN`. */
function readChange(change: string, before: readonly Change[]): Change[] {
  const equals = change.indexOf("=");
  if (equals < 1)
    throw new UsageError(`error: --set ${change}: write it as path=value`);
  const text = change.slice(equals + 1);
  return [...before, [change.slice(0, equals), readValue(text)]];
}

function readValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function readEvent(source: string): Promise<EventJson> {
  if (source.endsWith(".json")) return readEventFile(source);
  if (source === PING)
    return { event_id: randomUUID(), event_type: PING, data: {} };
  const examples = await listExamples();
  if (examples.includes(source)) return readExample(source);
  const nearest = findNearest(source, [PING, ...examples]);
  throw new UsageError(
    `error: '${source}' is neither a file that ends in .json nor an event type with an example.` +
      (nearest === undefined ? "" : `\n(Did you mean ${nearest}?)`),
  );
}

async function readEventFile(path: string): Promise<EventJson> {
  try {
    const event: unknown = JSON.parse(await readFile(path, "utf8"));
    if (typeof event === "object" && event !== null && !Array.isArray(event))
      return event as EventJson;
  } catch {
    // Said below.
  }
  throw new CommandError(`${path} cannot be read as a JSON object.`);
}
