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
  const ways = waysOf(environment["npm_lifecycle_event"] ?? "cli");
  const line = [...kept, ...rest].join(" ");
  return [
    `npm took ${taken} for itself, so nothing was done. Write:`,
    ...ways.map((way) => `  ${way} ${line}`),
    `(If ${names.map(toVariable).join(", ")} is set in your environment for another reason, unset it for this command.)`,
  ].join("\n");
}

function waysOf(script: string): string[] {
  if (script === "start") return ["npm start --"];
  if (script === "demo") return ["npm run demo --"];
  const npx = "npx uqpay-card-sync";
  return script === "npx" ? [npx] : [`npm run ${script} --`, npx];
}

/** The names that stand in the environment because they stood on npm's command line. */
function findSwallowed({ environment, args, options }: Invocation): string[] {
  const own = options.map(({ name }) => name);
  const names = Object.keys(environment)
    .filter((key) => key.startsWith(PREFIX) && environment[key] !== undefined)
    .map((key) => key.slice(PREFIX.length).replaceAll("_", "-"))
    .filter((name) => !args.some((arg) => isOption(arg, name)));
  const isUnderNpm = environment["npm_lifecycle_event"] !== undefined;
  if (!names.some((name) => isUnderNpm || own.includes(name))) return [];

  const inFiles = namesInNpmrc(environment);
  const before = namesBeforeNpm();
  const npmKnows = isUnderNpm ? namesOfNpm(environment) : undefined;
  return names.filter((name) => {
    if (inFiles.has(name) || before?.has(name) === true) return false;
    if (own.includes(name)) return true;
    // Misspelt, or of no meaning anywhere: only npm itself tells which names are its own.
    if (npmKnows?.has(name) !== false) return false;
    return before !== undefined || findNearest(name, own) !== undefined;
  });
}

function isOption(arg: string, name: string): boolean {
  return arg === `--${name}` || arg.startsWith(`--${name}=`);
}

function toVariable(name: string): string {
  return PREFIX + name.replaceAll("-", "_");
}

/** `--dry-run`, `--role worker`; where npm has kept no value, what belongs there. */
function spell(name: string, { environment, options }: Invocation): string {
  const names = options.map((option) => option.name);
  const nearest = findNearest(name, names) ?? name;
  const known = options.find((option) => option.name === nearest);
  if (known === undefined) return `--${name}`;
  const value = environment[toVariable(name)] ?? "";
  const isKept = !["", "true"].includes(value) && known.name !== NEVER_SHOWN;
  return known.flags.includes("<") && isKept
    ? `--${known.name} ${quote(value)}`
    : known.flags;
}

function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text)
    ? text
    : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** What the .npmrc files set for good, of the user, of the machine and of this folder. */
function namesInNpmrc(environment: Environment): ReadonlySet<string> {
  const { npm_config_userconfig, npm_config_globalconfig } = environment;
  const { npm_config_local_prefix: folder, npm_execpath: npm } = environment;
  const lines = [
    npm_config_userconfig,
    npm_config_globalconfig,
    folder && join(folder, ".npmrc"),
    npm && join(npm, "..", "..", "npmrc"),
  ].flatMap((file) => (file ? readLines(file) : []));
  const names = lines.map((line) =>
    /^\s*([\w-]+)(?:\[\])?\s*(?:=|$)/.exec(line),
  );
  return new Set(
    names.map((match) => String(match?.[1]).toLowerCase().replaceAll("_", "-")),
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
 * What was set before npm came: the options among the variables of the nearest process above this one that runs in no
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
          .map((name) => name.slice(PREFIX.length).replaceAll("_", "-")),
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
