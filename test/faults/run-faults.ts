import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findRedisServer } from "../support/redis-server.ts";
import { stopPoison } from "./stop-poison.ts";
import type { QueueKind, ScenarioReport } from "./survive-faults.ts";
import { surviveFaults } from "./survive-faults.ts";

const USAGE = `usage: node test/faults/run.mjs [--dist FOLDER] [options]
  --seed N        the same seed gives the same events and the same plan of faults; printed first
  --faults N      how many are injected on each queue (default 200; CI: 20; 0: only the poison)
  --queue KIND    redis, postgres or both (default both)
  --rate N        events per second (default 80)
  --no-poison     only the faults
  --keep          keeps the logs also when every promise held
`;
const EXAMPLES = 4;

/** @returns whether every promise held */
export async function runFaults(
  args: readonly string[],
  dist: string,
): Promise<boolean> {
  const options = readOptions(args);
  const { seed, faults } = options;
  print(`seed ${String(seed)}`);
  const folder = mkdtempSync(join(tmpdir(), "faults-run-"));
  // An interrupted run still ends its servers: they stop with the process's `exit`.
  for (const signal of ["SIGINT", "SIGTERM"])
    process.once(signal, () => process.exit(130));

  let broken = 0;
  const report = (title: string, { figures, violations }: ScenarioReport) => {
    print(`\n${title}\n${JSON.stringify(figures, null, 2)}`);
    broken += violations.length;
    printViolations(violations);
  };

  for (const queue of options.queues) {
    print(`\nqueue on ${queue}`);
    const common = {
      queue,
      seed,
      dist,
      tell: (line: string) => print(`  ${line}`),
    };
    // Poison mostly waits, so both go together; each has servers of its own.
    const [survived, stopped] = await Promise.all([
      faults === 0
        ? undefined
        : surviveFaults({
            ...common,
            faults,
            eventsPerSecond: options.rate,
            folder: join(folder, `${queue}-faults`),
          }),
      options.poison
        ? stopPoison({ ...common, folder: join(folder, `${queue}-poison`) })
        : undefined,
    ]);
    if (survived) report(`faults, queue on ${queue}`, survived);
    if (stopped) report(`poison, queue on ${queue}`, stopped);
  }

  if (options.keep || broken > 0) print(`\nlogs in ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
  print(
    broken > 0
      ? `FAILED: ${String(broken)} violations, seed ${String(seed)}`
      : "every promise held",
  );
  return broken === 0;
}

/** By what is said before the first colon: a thousand events with one fate are one piece of news. */
function printViolations(violations: readonly string[]): void {
  const kinds = new Map<string, string[]>();
  for (const violation of violations) {
    const [kind = ""] = violation.split(": ");
    kinds.set(kind, [...(kinds.get(kind) ?? []), violation]);
  }
  for (const [kind, all] of kinds) {
    print(`VIOLATED ${String(all.length)} times: ${kind}`);
    for (const one of all.slice(0, EXAMPLES)) print(`  ${one}`);
  }
}

function readOptions(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      allowNegative: true,
      options: {
        seed: { type: "string" },
        faults: { type: "string", default: "200" },
        queue: { type: "string", default: "both" },
        rate: { type: "string", default: "80" },
        poison: { type: "boolean", default: true },
        keep: { type: "boolean", default: false },
      },
    });
    return {
      seed: wholeNumber(values.seed ?? String(Date.now() % 1_000_000)),
      faults: wholeNumber(values.faults),
      rate: wholeNumber(values.rate),
      poison: values.poison,
      keep: values.keep,
      queues: queuesOf(values.queue),
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`${text} is no whole number`);
  return Number(text);
}

function queuesOf(kind: string): readonly QueueKind[] {
  if (kind === "redis" || kind === "postgres") return [kind];
  if (kind !== "both") throw new Error(`there is no queue on ${kind}`);
  if (findRedisServer() !== undefined) return ["redis", "postgres"];
  if (process.env["CI"] === "true")
    throw new Error("CI needs a redis-server or valkey-server on the PATH");
  print("NO REDIS ON THE PATH: THE FAULTS WITH THE QUEUE ON REDIS ARE SKIPPED");
  return ["postgres"];
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
