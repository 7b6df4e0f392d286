import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Command } from "@commander-js/extra-typings";
import { InvalidArgumentError } from "@commander-js/extra-typings";
import type { EventJson } from "../operate/send-event.ts";
import {
  PING,
  listExamples,
  postSigned,
  readExample,
  withField,
} from "../operate/send-event.ts";
import { findNearest } from "../process/near-miss.ts";
import type { Context, Frame, Outcome } from "./frame.ts";
import { CommandError, UsageError } from "./frame.ts";
import { readDuration } from "./options.ts";

export function addSend(program: Command, { run }: Frame): void {
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
    .action(
      run((context, source, options) =>
        source === undefined
          ? list(context, options)
          : send(context, source, options),
      ),
    );
}

type Change = readonly [path: string, value: unknown];

interface Options {
  readonly url?: string | undefined;
  readonly secret?: string | undefined;
  readonly set: readonly Change[];
  readonly newId?: true | undefined;
  readonly age?: number | undefined;
}

async function list(context: Context, options: Options): Promise<Outcome> {
  const { url, secret, newId, age, set } = options;
  const isMeantToSend = [url, secret, newId, age, set[0]].some(
    (value) => value !== undefined,
  );
  if (isMeantToSend)
    throw new UsageError(
      "error: say what is sent: a .json file or an event type. Without both, send lists the examples.",
    );
  const examples = [PING, ...(await listExamples())];
  context.print(`${examples.join("\n")}\n`);
  return { result: { examples } };
}

async function send(
  { config, print }: Context,
  source: string,
  options: Options,
): Promise<Outcome> {
  const {
    url = `http://127.0.0.1:${String(config.http.port)}/webhooks/uqpay`,
    secret = config.webhook.secrets[0] ?? "",
    age = 0,
  } = options;
  const changes: readonly Change[] =
    options.newId === true
      ? [...options.set, ["event_id", randomUUID()]]
      : options.set;
  const event = changes.reduce(
    (edited, [path, value]) => withField(edited, path, value),
    await readEvent(source),
  );
  const body = JSON.stringify(event);
  const { status, text } = await postSigned(
    url,
    body,
    secret,
    Date.now() - age,
  ).catch(() => {
    throw new CommandError(
      `Nothing answers at ${url}. Is the service running? (npm start)`,
    );
  });
  print(`${String(status)} ${text}\n`);
  return {
    result: { event_id: event["event_id"], status, answer: text },
    foundSomething: status !== 200,
  };
}

/** The value is JSON where it reads as JSON, else text: `data.amount=5`, `data.card_status=FROZEN`. */
function readChange(change: string, before: readonly Change[]): Change[] {
  const equals = change.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("Write it as path=value.");
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
