import { Command, InvalidArgumentError } from "@commander-js/extra-typings";
import type { Context, Frame, Outcome } from "../../src/commands/frame.ts";
import { CommandError, runProgram } from "../../src/commands/frame.ts";
import { createSimulator } from "./simulator.ts";

interface Options {
  readonly port: number;
  readonly webhookUrl: string;
  readonly seed: number;
  readonly haste: number;
}

function makeSimulator(frame: Frame): Command {
  return new Command("simulator")
    .description(
      "Runs a local UQPAY until it is ended: its REST API, and its webhooks with signatures and retries. See docs/try-it.md.",
    )
    .usage("[-- options]")
    .option("--port <number>", "where it listens", whole, 4010)
    .option(
      "--webhook-url <url>",
      "where it sends webhooks, signed with UQPAY_WEBHOOK_SECRET",
      "http://127.0.0.1:3000/webhooks/uqpay",
    )
    .option("--seed <number>", "gives the same ids and faults again", whole, 1)
    .option(
      "--haste <number>",
      "divides all waits: 1 retries after 16 s, 32 s, … as UQPAY does",
      whole,
      10,
    )
    .action(
      frame.run((context, options: Options) => run(context, options), {
        isService: true,
      }),
    );
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

async function run(
  { config, print }: Context,
  options: Options,
): Promise<Outcome> {
  const interrupted = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.once(signal, () => {
        resolve();
      });
  });
  const simulator = await createSimulator({
    ...options,
    haste: Math.max(1, options.haste),
    secret: config.webhook.secrets[0] ?? "",
    tell: (line) => {
      print(`  ${line}\n`);
    },
  }).catch((error: unknown) => {
    throw new CommandError(`The simulator cannot start: ${String(error)}`);
  });
  print(`
  A local UQPAY. It sends webhooks to ${options.webhookUrl}

  The service finds its API with:
    UQPAY_API_BASE_URL=${simulator.apiBaseUrl} UQPAY_CLIENT_ID=${simulator.clientId} UQPAY_API_KEY=${simulator.apiKey}

  Issue a card:
    curl -s -X POST ${simulator.controlUrl}/cards

  What else it does: docs/try-it.md

`);
  await interrupted;
  await simulator.stop();
  return { result: {} };
}

await runProgram(makeSimulator, process.argv.slice(2), process.env);
