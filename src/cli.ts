import {
  EVENTS_USAGE,
  QUARANTINE_USAGE,
  events,
  quarantine,
} from "./commands/events.ts";
import { EXPLAIN_USAGE, explain } from "./commands/explain.ts";
import { migrate } from "./commands/migrate.ts";
import { PRUNE_USAGE, prune } from "./commands/prune.ts";
import { REPLAY_USAGE, replay } from "./commands/replay.ts";
import { run } from "./commands/run.ts";
import { SEND_USAGE, send } from "./commands/send.ts";
import { serve } from "./commands/serve.ts";
import { UsageError } from "./commands/usage-error.ts";
import {
  REBUILD_USAGE,
  VERIFY_USAGE,
  rebuild,
  verify,
} from "./commands/verify.ts";
import type { Config } from "./config.ts";

const USAGE = `npm run cli -- <command>

  serve [--role all|api|worker]
      runs the service
  migrate
      applies the migrations (a start does it too)
  ${SEND_USAGE}
  ${EVENTS_USAGE}
  ${QUARANTINE_USAGE}
  ${REPLAY_USAGE}
  ${VERIFY_USAGE}
  ${REBUILD_USAGE}
  ${EXPLAIN_USAGE}
  ${PRUNE_USAGE}`;

const [name, ...args] = process.argv.slice(2);

type Command = (args: readonly string[], config: Config) => Promise<void>;
const commands: ReadonlyMap<string | undefined, Command> = new Map<
  string,
  Command
>([
  ["serve", (_args, config) => serve(config, process.cwd())],
  ["migrate", (_args, config) => migrate(config)],
  ["send", send],
  ["events", events],
  ["quarantine", quarantine],
  ["replay", replay],
  ["verify", verify],
  ["rebuild", rebuild],
  ["explain", explain],
  ["prune", prune],
]);

await run(withRole(process.env, args), async (config) => {
  const command = commands.get(name);
  if (command === undefined) throw new UsageError(USAGE);
  await command(args, config);
});

/** `--role` is the variable ROLE, said on the command line. */
function withRole(
  environment: NodeJS.ProcessEnv,
  given: readonly string[],
): NodeJS.ProcessEnv {
  const index = given.indexOf("--role");
  if (index >= 0) environment["ROLE"] = given[index + 1];
  return environment;
}
