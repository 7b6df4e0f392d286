import { existsSync, readFileSync } from "node:fs";
import type { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import type { Command } from "@commander-js/extra-typings";
import {
  CommanderError,
  InvalidArgumentError,
} from "@commander-js/extra-typings";
import type { Config } from "../config.ts";
import { ConfigError, loadConfig } from "../config.ts";
import { findNearest } from "../process/near-miss.ts";
import type { Progress } from "./progress.ts";
import { startProgress } from "./progress.ts";
import { explainSwallowedOptions } from "./swallowed-options.ts";
import { escapeControl, formatTable } from "./text.ts";

type Environment = Record<string, string | undefined>;

/** Where a program writes, and what ends it. */
export interface Terminal {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly exit: (code: number) => void;
}

/** A stream that may be a person's window. */
export type Output = Writable & {
  readonly isTTY?: boolean;
  readonly columns?: number;
};

/** What a command is given besides its options and arguments. */
export interface Context {
  readonly config: Config;
  /** Writes for people, at once. With `--json` only the result is written, when the command ends. */
  readonly print: (text: string) => void;
  /** The same for rows; they fit the terminal. */
  readonly printTable: (
    columns: readonly string[],
    rows: readonly (readonly string[])[],
  ) => void;
  /** Says on standard error how far it is, where it takes longer than a second. */
  readonly progress: Progress;
}

/** How a command ended that could be carried out. */
export interface Outcome {
  /** What `--json` gives as `result`. Numbers that must be exact are text. */
  readonly result: object;
  /** True: it found something, or not all could be done. The exit code is then 1. */
  readonly foundSomething?: boolean;
}

export interface Frame {
  /** Makes the action of a command out of what it does. */
  readonly run: <Args extends unknown[]>(
    work: (context: Context, ...args: Args) => Promise<Outcome>,
    manner?: Manner,
  ) => (...args: Args) => Promise<void>;
}

interface Manner {
  /** True for what tells itself how far it is. */
  readonly tellsNoProgress?: boolean;
  /** True for what runs until it is ended, and goes on when its output is closed. */
  readonly isService?: boolean;
}

/** The tool was used wrongly: exit code 2. The message says what to write instead. */
export class UsageError extends Error {}

/** A command was understood and could not be carried out: exit code 1. The message says what to do. */
export class CommandError extends Error {}

/**
 * Runs a program and ends it: with 0 when all is done, with 1 when a command found something or failed, with 2
 * when it was used wrongly. A fault of ours also ends with its stack.
 *
 * @param args what stands behind the program's name
 * @param terminal the process, or what stands for it in a test: a process of its own takes long to start
 */
export async function runProgram(
  makeProgram: (frame: Frame) => Command,
  args: readonly string[],
  environment: Environment,
  terminal: Terminal = process,
): Promise<void> {
  const { stdout, stderr } = terminal;
  const isJson = args.includes("--json");
  const width = terminalWidth(environment, stdout);
  let outcome: Outcome = { result: {} };
  let manner: Manner = {};
  // The reader may have closed its end, as `head` does.
  for (const stream of [stdout, stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (!manner.isService) terminal.exit(error.code === "EPIPE" ? 0 : 1);
    });

  const run: Frame["run"] =
    (work, itsManner = {}) =>
    async (...parsed) => {
      const config = readConfig(environment);
      manner = itsManner;
      const { isService, tellsNoProgress } = manner;
      const progress = startProgress(stderr, !isService && !tellsNoProgress);
      const print = (text: string) => {
        if (isJson) return;
        progress.clear();
        stdout.write(escapeControl(text));
      };
      const printTable: Context["printTable"] = (columns, rows) =>
        print(formatTable(columns, rows, width));
      try {
        const context = { config, print, printTable, progress };
        outcome = await work(context, ...parsed);
      } finally {
        progress.stop();
      }
    };

  const program = makeProgram({ run });
  let ending: Ending;
  try {
    prepare(program, terminal);
    refuseSwallowedOptions(program, args, environment);
    await program.parseAsync(args, { from: "user" });
    const { result, foundSomething = false } = outcome;
    ending = { exitCode: foundSomething ? 1 : 0, said: { result } };
  } catch (error) {
    ending = endingOf(error);
    // commander has written its own.
    if (!(error instanceof CommanderError)) {
      const isOurFault = ending.said?.error?.code === "internal";
      const text = isOurFault ? inspect(error) : (error as Error).message;
      stderr.write(`${escapeControl(text)}\n`);
    }
  }
  const { exitCode, said } = ending;
  const command = nameOfCommand(program, args);
  const document = { command, exit_code: exitCode, ...said };
  const lastWords = isJson && said !== undefined ? toJson(document) : "";
  const written = new Promise<void>((resolve) => {
    stdout.write(lastWords, () => resolve());
  });
  await (manner.isService
    ? Promise.race([written, sleep(LAST_WORDS_MS)])
    : written);
  terminal.exit(exitCode);
}

/** A reader that stands still may be a pager. What a service has left to say is worth no longer wait than this. */
const LAST_WORDS_MS = 1_000;

/** In development `.env` stands behind the environment: a variable that is set wins. */
function readConfig(environment: Environment): Config {
  if (environment["NODE_ENV"] !== "production" && existsSync(".env"))
    process.loadEnvFile(".env");
  return loadConfig(environment, (path) => readFileSync(path, "utf8"));
}

/** What is piped into another program keeps one line for each row, unless COLUMNS says how wide it may be. */
function terminalWidth(environment: Environment, stdout: Output): number {
  const said = Number(environment["COLUMNS"]);
  if (Number.isInteger(said) && said > 0) return said;
  return (stdout.isTTY ? stdout.columns : undefined) ?? Infinity;
}

/** What holds for the program and for each of its commands. */
function prepare(program: Command, { stdout, stderr }: Terminal): void {
  for (const each of [program, ...program.commands]) {
    each
      .exitOverride()
      // Refused by a hook, which also says which option they could mean.
      .allowExcessArguments()
      .configureOutput({
        writeOut: (text) => stdout.write(text),
        writeErr: (text) => stderr.write(escapeControl(text)),
      });
    each.options.forEach(refuseTwice);
  }
  program.hook("preAction", (_program, command) => {
    refuseExtraArguments(command as unknown as Command);
  });
}

/** Both values would be meant, and one would be ignored. What collects its values begins with an empty list. */
function refuseTwice(option: Command["options"][number]): void {
  const { parseArg: read, variadic, required } = option;
  if (!required || variadic || option.defaultValue !== undefined) return;
  option.parseArg = <Value>(text: string, before: Value) => {
    if (before !== undefined)
      throw new InvalidArgumentError("It is given twice.");
    return read === undefined ? (text as Value) : read(text, before);
  };
}

/** The command that shells ask. It is handed a command line that is still being written. */
const COMPLETION = "complete";

/** Unknown arguments are errors: a misspelt filter must not widen a replay. */
function refuseExtraArguments(command: Command): void {
  const { args, registeredArguments: taken, options } = command;
  const name = command.name();
  const extra = args[taken.length];
  if (extra === undefined || taken.at(-1)?.variadic || name === COMPLETION)
    return;
  const nearest = findNearest(extra, options.map(nameOfOption));
  const takes =
    taken.length === 0
      ? "no argument"
      : `only ${taken.map((one) => `<${one.name()}>`).join(" ")}`;
  const hint = nearest === undefined ? "" : `\n(Did you mean --${nearest}?)`;
  throw new UsageError(
    `error: ${name} takes ${takes}: '${extra}' is one too many.${hint}\nSee: ${name} --help`,
  );
}

function nameOfOption(option: Command["options"][number]): string {
  return option.long?.slice(2) ?? "";
}

function refuseSwallowedOptions(
  program: Command,
  args: readonly string[],
  environment: Environment,
): void {
  if (args.includes("--help") || args.includes("-h") || args[0] === "help")
    return;
  const options = [program, ...program.commands]
    .flatMap((each) => each.options)
    .map((option) => ({ name: nameOfOption(option), flags: option.flags }));
  const explanation = explainSwallowedOptions({ environment, args, options });
  if (explanation !== undefined) throw new UsageError(explanation);
}

interface Ending {
  readonly exitCode: number;
  /** Undefined where commander has written all: the help, the version. */
  readonly said?: {
    readonly result?: object;
    readonly error?: { readonly code: string; readonly message: string };
  };
}

function endingOf(error: unknown): Ending {
  const message = error instanceof Error ? error.message : String(error);
  const end = (exitCode: number, code: string) => ({
    exitCode,
    said: { error: { code, message } },
  });
  if (error instanceof CommanderError && error.exitCode === 0)
    return { exitCode: 0 };
  if (error instanceof CommanderError || error instanceof UsageError)
    return end(2, "usage");
  if (error instanceof ConfigError) return end(1, "configuration");
  return end(1, error instanceof CommandError ? "failed" : "internal");
}

function nameOfCommand(
  program: Command,
  args: readonly string[],
): string | null {
  const known = program.commands.map((command) => command.name());
  return args.find((arg) => known.includes(arg)) ?? null;
}

/** A terminal also obeys the control characters that JSON allows. */
function toJson(document: object): string {
  const text = JSON.stringify(document).replace(
    /[\x7f-\x9f]/g,
    (character) => `\\u00${character.charCodeAt(0).toString(16)}`,
  );
  return `${text}\n`;
}
