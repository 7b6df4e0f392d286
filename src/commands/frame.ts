import { existsSync, readFileSync } from "node:fs";
import type { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "@commander-js/extra-typings";
import {
  CommanderError,
  InvalidArgumentError,
} from "@commander-js/extra-typings";
import type { Config } from "../config.ts";
import { ConfigError, loadConfig } from "../config.ts";
import { formatTable } from "./format-table.ts";
import { findNearest } from "../process/near-miss.ts";
import { escapeControl } from "./print.ts";
import type { Progress } from "./progress.ts";
import { startProgress } from "./progress.ts";
import { explainSwallowedOptions } from "./swallowed-options.ts";
import { CommandError, UsageError } from "./usage-error.ts";

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
  /** True with `--json`: then only the result is written, when the command ends. */
  readonly isJson: boolean;
  /** Writes for people, at once. */
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

/** What the action of each command calls. */
export interface Frame {
  readonly run: (
    options: { readonly json?: true | undefined },
    work: (context: Context) => Promise<Outcome>,
    more?: RunOptions,
  ) => Promise<void>;
}

interface RunOptions {
  /** Variables that an option of the command line sets. */
  readonly environment?: Environment;
  /** False for what tells itself how far it is. Default: true. */
  readonly tellsProgress?: boolean;
  /** True for what runs until it is ended: it tells no progress, and goes on when its output is closed. */
  readonly isService?: boolean;
}

/** The command that shells ask, of the library for it. */
const COMPLETION = "complete";

export const JSON_OPTION = [
  "--json",
  "one JSON document for programs: command, exit_code, result or error",
] as const;

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
  let isService = false;
  // The reader may have closed its end, as `head` does.
  for (const stream of [stdout, stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (!isService) terminal.exit(error.code === "EPIPE" ? 0 : 1);
    });
  const isJson = args.includes("--json");
  let outcome: Outcome = { result: {} };
  let command: Command | undefined;
  const frame: Frame = {
    run: async (_options, work, more = {}) => {
      Object.assign(environment, more.environment);
      // In development `.env` is behind it: a variable that is set wins.
      if (environment["NODE_ENV"] !== "production" && existsSync(".env"))
        process.loadEnvFile(".env");
      const config = loadConfig(environment, (path) =>
        readFileSync(path, "utf8"),
      );
      isService = more.isService ?? false;
      const progress = startProgress(stderr, more.tellsProgress ?? !isService);
      const width = terminalWidth(environment, stdout);
      try {
        outcome = await work(
          contextOf(config, isJson, stdout, width, progress),
        );
      } finally {
        progress.stop();
      }
    },
  };
  const program = makeProgram(frame);
  prepare(program, terminal, terminalWidth(environment, stdout));
  program.hook("preAction", (_program, action) => {
    command = action as unknown as Command;
    refuseExtraArguments(command);
  });
  const finish = async (exitCode: number, rest: object) => {
    const name = command?.name() ?? nameIn(program, args);
    if (isJson)
      await write(
        stdout,
        toJson({ command: name, exit_code: exitCode, ...rest }),
      );
    await end(terminal, exitCode, isService);
  };
  try {
    refuseSwallowedOptions(program, args, environment);
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    // Help and the version have been written.
    if (error instanceof CommanderError && error.exitCode === 0) {
      await end(terminal, 0);
      return;
    }
    const { exitCode, code, message } = explainError(error);
    if (!(error instanceof CommanderError) && exitCode !== undefined)
      stderr.write(`${escapeControl(message)}\n`);
    if (exitCode === undefined && !isJson) throw error;
    if (exitCode === undefined)
      stderr.write(`${(error as Error).stack ?? ""}\n`);
    await finish(exitCode ?? 1, { error: { code, message } });
    return;
  }
  const { result, foundSomething = false } = outcome;
  await finish(foundSomething ? 1 : 0, { result });
}

function contextOf(
  config: Config,
  isJson: boolean,
  stdout: Output,
  width: number,
  progress: Progress & { readonly clear: () => void },
): Context {
  const print = (text: string) => {
    if (isJson) return;
    progress.clear();
    stdout.write(escapeControl(text));
  };
  return {
    config,
    isJson,
    print,
    printTable: (columns, rows) => print(formatTable(columns, rows, width)),
    progress,
  };
}

/** What is piped into another program keeps one line for each row, unless COLUMNS says how wide it may be. */
function terminalWidth(environment: Environment, stdout: Output): number {
  const said = Number(environment["COLUMNS"]);
  if (Number.isInteger(said) && said > 0) return said;
  return (stdout.isTTY ? stdout.columns : undefined) ?? Infinity;
}

/** What holds for the program and for each of its commands. */
function prepare(
  program: Command,
  { stdout, stderr }: Terminal,
  width: number,
): void {
  for (const each of [program, ...program.commands]) {
    each
      .exitOverride()
      // Looked at together with what they could mean.
      .allowExcessArguments()
      .configureOutput({
        writeOut: (text) => stdout.write(text),
        writeErr: (text) => stderr.write(escapeControl(text)),
        ...(width !== Infinity && {
          getOutHelpWidth: () => width,
          getErrHelpWidth: () => width,
        }),
      });
    each.options.forEach(refuseTwice);
  }
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

function refuseSwallowedOptions(
  program: Command,
  args: readonly string[],
  environment: Environment,
): void {
  if (args.includes("--help") || args.includes("-h") || args[0] === "help")
    return;
  const options = [program, ...program.commands]
    .flatMap(({ options: own }) => own)
    .flatMap(({ long, flags }) =>
      long === undefined ? [] : [{ name: long.slice(2), flags }],
    );
  const explanation = explainSwallowedOptions({ environment, args, options });
  if (explanation !== undefined) throw new UsageError(explanation);
}

/** Unknown arguments are errors: a misspelt filter must not widen a replay. */
function refuseExtraArguments(command: Command): void {
  const { args, registeredArguments } = command;
  if (registeredArguments.at(-1)?.variadic === true) return;
  // It is handed a command line that is still being written.
  if (command.name() === COMPLETION) return;
  const extra = args[registeredArguments.length];
  if (extra === undefined) return;
  const names = command.options.map(({ long }) => long?.slice(2) ?? "");
  const nearest = findNearest(extra, names);
  const takes = registeredArguments.map((argument) => `<${argument.name()}>`);
  throw new UsageError(
    [
      `error: ${command.name()} takes ${takes.length === 0 ? "no argument" : `only ${takes.join(" ")}`}: '${extra}' is one too many.`,
      ...(nearest === undefined ? [] : [`(Did you mean --${nearest}?)`]),
      `See: ${command.name()} --help`,
    ].join("\n"),
  );
}

interface Explained {
  /** Undefined: a fault of ours. */
  readonly exitCode: number | undefined;
  readonly code: "usage" | "configuration" | "failed" | "internal";
  readonly message: string;
}

function explainError(error: unknown): Explained {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof CommanderError || error instanceof UsageError)
    return { exitCode: 2, code: "usage", message };
  if (error instanceof ConfigError)
    return { exitCode: 1, code: "configuration", message };
  if (error instanceof CommandError)
    return { exitCode: 1, code: "failed", message };
  return { exitCode: undefined, code: "internal", message };
}

/** Of a command that could not even begin. */
function nameIn(program: Command, args: readonly string[]): string | null {
  const known = program.commands.map((command) => command.name());
  return args.find((arg) => known.includes(arg)) ?? null;
}

function toJson(document: object): string {
  // A terminal also obeys the control characters that JSON allows.
  return `${JSON.stringify(document).replace(
    /[\x7f-\x9f]/g,
    (character) =>
      `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )}\n`;
}

function write(stdout: Output, text: string): Promise<void> {
  return new Promise((resolve) => {
    stdout.write(text, () => resolve());
  });
}

/** A reader that stands still may be a pager. What a service has left to say is worth no longer wait than this. */
const LAST_WORDS_MS = 1_000;

/** What was written has gone out before. */
async function end(
  terminal: Terminal,
  exitCode: number,
  isService = false,
): Promise<void> {
  const written = write(terminal.stdout, "");
  await (isService ? Promise.race([written, sleep(LAST_WORDS_MS)]) : written);
  terminal.exit(exitCode);
}
