import { Writable } from "node:stream";
import { runProgram } from "../../src/commands/frame.ts";
import { makeProgram } from "../../src/commands/program.ts";
import { SECRET } from "./service.ts";

export interface Ended {
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
}

/**
 * Runs a command line of the operator's tool in this process, with an environment that holds nothing but this: a process
 * of its own takes most of a second for each. process.test.ts holds that the process does the same.
 */
export async function runCommandLine(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Ended> {
  const [stdout, stderr] = [new Heard(), new Heard()];
  let code: number | undefined;
  await runProgram(
    makeProgram,
    args,
    { NODE_ENV: "production", UQPAY_WEBHOOK_SECRET: SECRET, ...env },
    { stdout, stderr, exit: (exitCode) => (code = exitCode) },
  );
  // On a machine that has much to do, each command may tell how far it is.
  const err = stderr.text.replaceAll(/^.* …\n/gm, "");
  return { code, out: stdout.text, err };
}

class Heard extends Writable {
  text = "";

  override _write(chunk: unknown, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}
