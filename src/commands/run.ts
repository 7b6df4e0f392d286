import type { Config } from "../config.ts";
import { ConfigError, loadConfig } from "../config.ts";
import { readEnvironment, readTextFile } from "./read-environment.ts";
import { UsageError } from "./usage-error.ts";

/**
 * Runs one command and ends the process: with 0 when it is done, with 1 and a message on standard error when a
 * person can put it right. Anything else is a fault of ours and ends with its stack.
 */
export async function run(
  environment: Readonly<Record<string, string | undefined>>,
  command: (config: Config) => Promise<void>,
): Promise<void> {
  try {
    await command(loadConfig(readEnvironment(environment), readTextFile));
    process.exit();
  } catch (error) {
    if (!(error instanceof ConfigError) && !(error instanceof UsageError))
      throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}
