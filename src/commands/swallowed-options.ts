import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { findNearest } from "../process/near-miss.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** An option of the tool, as npm may have taken it for its own. */
export interface KnownOption {
  /** Without the dashes: `dry-run`. */
  readonly name: string;
  /** How it is written: `--card <card_id>`. */
  readonly flags: string;
}

export interface Invocation {
  readonly environment: Environment;
  /** What is left of the command line. */
  readonly args: readonly string[];
  readonly options: readonly KnownOption[];
}

const PREFIX = "npm_config_";
const NEVER_SHOWN = "secret";

/**
 * npm takes every option before a `--` for its own and leaves it in the environment, so that `npm run cli prune
 * --dry-run` would prune.
 *
 * @returns what to write instead; undefined when npm took nothing
 */
export function explainSwallowedOptions(
  invocation: Invocation,
): string | undefined {
  const { environment, args } = invocation;
  const names = findSwallowed(invocation);
  if (names.length === 0) return undefined;
  const taken = names.map((name) => `--${name}`).join(" ");
  const rest = names.map((name) => spell(name, invocation));
  const isComplete = rest.every((text) => !text.includes("<"));
  const kept = (isComplete ? args : args.slice(0, 1)).map(quote);
  const line = [...kept, ...rest].join(" ");
  const { npm_lifecycle_event: script } = environment;
  const ways = [
    wayThrough(script, line),
    ...(script === "start" || script === "demo"
      ? []
      : [`npx uqpay-card-sync ${line}`]),
  ];
  return [
    `npm took ${taken} for itself, so nothing was done. Write:`,
    ...new Set(ways.map((way) => `  ${way}`)),
    `(If ${PREFIX}${names.map(toVariable).join(`, ${PREFIX}`)} is set in your environment for another reason, unset it for this command.)`,
  ].join("\n");
}

function wayThrough(script: string | undefined, line: string): string {
  if (script === undefined) return `npm run cli -- ${line}`;
  if (script === "npx") return `npx uqpay-card-sync ${line}`;
  return `npm ${script === "start" ? "start" : `run ${script}`} -- ${line}`;
}

/** The names that stand in the environment because they stood on npm's command line. */
function findSwallowed({ environment, args, options }: Invocation): string[] {
  const underNpm = environment["npm_lifecycle_event"] !== undefined;
  const candidates = Object.keys(environment)
    .filter((key) => key.startsWith(PREFIX) && environment[key] !== undefined)
    .map((key) => key.slice(PREFIX.length).replaceAll("_", "-"))
    .filter((name) => !args.some((arg) => isOption(arg, name)));
  const own = new Set(options.map(({ name }) => name));
  const suspects = candidates.filter((name) => own.has(name) || underNpm);
  if (suspects.length === 0) return [];

  const inFiles = namesInNpmrc(environment);
  const before = namesBeforeNpm();
  const unexplained = suspects.filter(
    (name) => !inFiles.has(name) && before?.has(toVariable(name)) !== true,
  );
  if (unexplained.every((name) => own.has(name))) return unexplained;

  // Misspelt, or of no meaning anywhere: only npm itself tells which names are its own.
  const npmKnows = namesOfNpm(environment);
  return unexplained.filter((name) => {
    if (own.has(name)) return true;
    if (npmKnows?.has(name) === true) return false;
    const isCertain = npmKnows !== undefined && before !== undefined;
    return isCertain || findNearest(name, [...own]) !== undefined;
  });
}

function isOption(arg: string, name: string): boolean {
  return arg === `--${name}` || arg.startsWith(`--${name}=`);
}

function toVariable(name: string): string {
  return name.replaceAll("-", "_");
}

/** `--dry-run`, `--role worker`; where npm has kept no value, what belongs there. */
function spell(name: string, { environment, options }: Invocation): string {
  const nearest = findNearest(
    name,
    options.map((option) => option.name),
  );
  const known = options.find((option) => option.name === (nearest ?? name));
  const value = environment[PREFIX + toVariable(name)] ?? "";
  if (known === undefined) return `--${name}`;
  const hasValue = known.flags.includes("<");
  const isKept = !["", "true"].includes(value) && known.name !== NEVER_SHOWN;
  if (!hasValue || !isKept) return known.flags;
  return `--${known.name} ${quote(value)}`;
}

function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text)
    ? text
    : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** What the .npmrc files set for good, of the user, of the machine and of this folder. */
function namesInNpmrc(environment: Environment): ReadonlySet<string> {
  const { npm_config_userconfig, npm_config_globalconfig } = environment;
  const { npm_config_local_prefix: folder, npm_execpath } = environment;
  const files = [
    npm_config_userconfig,
    npm_config_globalconfig,
    folder && join(folder, ".npmrc"),
    npm_execpath && join(npm_execpath, "..", "..", "npmrc"),
  ].filter((file) => file !== undefined && file !== "");
  const lines = files.flatMap((file) => readLines(file ?? ""));
  return new Set(
    lines
      .map((line) => /^\s*([\w-]+)(?:\[\])?\s*(?:=|$)/.exec(line)?.[1] ?? "")
      .map((name) => name.toLowerCase().replaceAll("_", "-")),
  );
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    return [];
  }
}

/**
 * What was set before npm came: the variables, without the prefix, of the nearest process above this one that runs in no
 * script of npm. Only where the system shows it (`/proc`).
 */
function namesBeforeNpm(): ReadonlySet<string> | undefined {
  let pid = process.ppid;
  for (let steps = 0; steps < 16; steps++) {
    const names = readLines(`/proc/${String(pid)}/environ`)
      .join("\n")
      .split("\0")
      .map((entry) => entry.split("=", 1)[0] ?? "");
    if (names.length < 2) return undefined;
    if (!names.includes("npm_lifecycle_event")) {
      return new Set(
        names
          .filter((name) => name.startsWith(PREFIX))
          .map((name) => name.slice(PREFIX.length)),
      );
    }
    const stat = readLines(`/proc/${String(pid)}/stat`).join("");
    pid = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  }
  return undefined;
}

/** Besides its options, npm leaves facts about itself. */
const FACTS_OF_NPM = [
  "global-prefix",
  "local-prefix",
  "node-gyp",
  "npm-version",
];

/** The options that the npm knows which runs this script. */
function namesOfNpm(environment: Environment): ReadonlySet<string> | undefined {
  try {
    const load = createRequire(environment["npm_execpath"] ?? "");
    const { definitions } = load("@npmcli/config/lib/definitions") as {
      readonly definitions: object;
    };
    return new Set([...FACTS_OF_NPM, ...Object.keys(definitions)]);
  } catch {
    return undefined;
  }
}
