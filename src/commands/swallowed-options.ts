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
  const script = environment["npm_lifecycle_event"] ?? "cli";
  // main.ts has put `serve` before what was typed.
  const typed = script === "start" ? args.slice(1) : args;
  const names = findSwallowed(invocation);
  if (names.length === 0) return undefined;
  const rest = names.map((name) => spell(name, invocation));
  // Where a value is missing, npm may have left it among the arguments.
  const isComplete = rest.every((text) => !text.includes("<"));
  const kept = (isComplete ? typed : typed.slice(0, 1)).map(quote);
  const line = [...kept, ...rest].join(" ");
  const ways = waysOf(script);
  return [
    `npm took ${names.map((name) => `--${name}`).join(" ")} for itself, so nothing was done. Write:`,
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
  const names = namesIn(Object.keys(environment)).filter(
    (name) =>
      environment[toVariable(name)] !== undefined &&
      !args.some((arg) => arg.split("=", 1)[0] === `--${name}`),
  );
  if (names.length === 0) return [];
  const own = options.map(({ name }) => name);
  const inFiles = namesInNpmrc(environment);
  const before = namesBeforeNpm();
  const npmKnows = namesOfNpm(environment);
  return names.filter((name) => {
    if (inFiles.has(name) || before?.has(name) === true) return false;
    if (own.includes(name)) return true;
    // Misspelt, or of no meaning anywhere: only npm itself tells which names are its own.
    if (npmKnows?.has(name) !== false) return false;
    return before !== undefined || findNearest(name, own) !== undefined;
  });
}

/** `npm_config_dry_run` stands for `--dry-run`. */
function namesIn(variables: readonly string[]): string[] {
  return variables
    .filter((variable) => variable.startsWith(PREFIX))
    .map((variable) => variable.slice(PREFIX.length).replaceAll("_", "-"));
}

function toVariable(name: string): string {
  return PREFIX + name.replaceAll("-", "_");
}

/** `--dry-run`, `--role worker`; where npm has kept no value, what belongs there. A secret is not shown. */
function spell(name: string, { environment, options }: Invocation): string {
  const names = options.map((option) => option.name);
  const nearest = findNearest(name, names);
  const known = options.find((option) => option.name === nearest);
  if (known === undefined) return `--${name}`;
  const value = environment[toVariable(name)] ?? "";
  const isKept = !["", "true"].includes(value) && known.name !== "secret";
  return known.flags.includes("<") && isKept
    ? `--${known.name} ${quote(value)}`
    : known.flags;
}

function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text)
    ? text
    : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** What the .npmrc files set for good: of the user, of the machine, of this folder and of npm itself. */
function namesInNpmrc(environment: Environment): ReadonlySet<string> {
  const { npm_config_userconfig: ofUser, npm_config_globalconfig: ofMachine } =
    environment;
  const { npm_config_local_prefix: folder, npm_execpath: npm } = environment;
  const text = [
    ofUser,
    ofMachine,
    folder && join(folder, ".npmrc"),
    npm && join(npm, "..", "..", "npmrc"),
  ]
    .map((file) => (file ? readText(file) : ""))
    .join("\n");
  const entries = text.matchAll(/^[ \t]*([\w-]+)(?:\[\])?[ \t]*(?:=|$)/gm);
  const names = [...entries].map(([, name = ""]) => name);
  return new Set(names.map((name) => name.toLowerCase().replaceAll("_", "-")));
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/**
 * What was set before npm came: the options among the variables of the nearest process above this one that runs in no
 * script of npm. Only where the system shows it (`/proc`).
 */
function namesBeforeNpm(): ReadonlySet<string> | undefined {
  let pid = process.ppid;
  for (let steps = 0; steps < 16; steps++) {
    const variables = readText(`/proc/${String(pid)}/environ`)
      .split("\0")
      .map((entry) => entry.split("=", 1)[0] ?? "");
    if (variables.length < 2) return undefined;
    if (!variables.includes("npm_lifecycle_event"))
      return new Set(namesIn(variables));
    const status = readText(`/proc/${String(pid)}/status`);
    pid = Number(/^PPid:\s*(\d+)/m.exec(status)?.[1]);
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
