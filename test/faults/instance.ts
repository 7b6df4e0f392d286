import type { Checkpoint, Moment } from "../../src/process/checkpoint.ts";
import { loadConfig } from "../../src/config.ts";
import { createLogger } from "../../src/process/logger.ts";
import { prepareDatabase } from "../../src/roles/prepare-database.ts";
import { queueConnection, startService } from "../../src/service.ts";
import { startWatchdog } from "../../src/process/watchdog.ts";
import { TimeoutError, within } from "../../src/process/within.ts";

/*
 * One instance of the service as a process, as `serve` runs it, with a checkpoint that the suite can arm: it
 * dies at a named moment, or misbehaves on a named event.
 */

/** Sent by the suite: die the so-many-th time that this moment comes. */
export interface Arm {
  readonly moment: Moment | undefined;
  readonly after: number;
}

export type PoisonKind = "throw" | "block" | "exhaust" | "kill";

/** In the environment, as JSON: what happens to whoever applies this event. */
export interface Poison {
  readonly kind: PoisonKind;
  readonly eventId: string;
}

let armed: Arm = { moment: undefined, after: 0 };
process.on("message", (message) => {
  armed = message as Arm;
});
// The suite is gone: so is the reason to live.
process.on("disconnect", () => process.exit(3));

const poison = JSON.parse(
  process.env["FAULTS_POISON"] ?? "null",
) as Poison | null;

const checkpoint: Checkpoint = (moment, eventIds) => {
  if (moment === armed.moment) {
    if (armed.after === 0) process.kill(process.pid, "SIGKILL");
    armed = { ...armed, after: armed.after - 1 };
  }
  if (
    poison !== null &&
    moment === "applying" &&
    eventIds.includes(poison.eventId)
  )
    act(poison.kind);
};

function act(kind: PoisonKind): void {
  switch (kind) {
    case "throw":
      throw new Error("poison");
    case "block":
      for (;;);
    case "exhaust": {
      const hoard: number[][] = [];
      for (;;) hoard.push(new Array<number>(10_000).fill(hoard.length));
    }
    case "kill":
      process.kill(process.pid, "SIGKILL");
  }
}

const config = loadConfig(process.env);
const log = createLogger(config.logLevel);
const stopSignal = new Promise<void>((resolve) => {
  process.on("SIGTERM", () => resolve());
});
// As it is in `serve`, but with times that suit a suite.
const watchdog = startWatchdog(config.hangTimeoutMs);
const databaseUrl = config.postgres.url ?? "";
await prepareDatabase(databaseUrl, queueConnection(config, databaseUrl), log);
const service = await startService(config, databaseUrl, log, checkpoint);
process.send?.("ready");
await stopSignal;
await within(service.stop(), config.shutdownTimeoutMs, "stop").catch(
  (error: unknown) => {
    if (!(error instanceof TimeoutError)) throw error;
    log.warn("shutdown deadline passed");
  },
);
await watchdog.stop();
process.exit();
