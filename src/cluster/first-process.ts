import cluster from "node:cluster";
import type { Worker } from "node:cluster";
import { once } from "node:events";
import { AggregatorRegistry } from "prom-client";
import type { PrometheusContentType } from "prom-client";
import type { Logger } from "../logger.ts";
import type { MetricsAnswer } from "./messages.ts";
import { isMemberMessage } from "./messages.ts";

export interface ProcessesOptions {
  readonly count: number;
  /** What the processes' environment has beside this one's. */
  readonly environment: Readonly<Record<string, string>>;
  /** As long as a process may take to stop. */
  readonly stopTimeoutMs: number;
  readonly log: Logger;
}

/** Processes that run the same program and share its port. */
export interface Processes {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

/** A process ended before it took requests. What was wrong it has said itself. */
export class StartError extends Error {
  constructor() {
    super("A process ended before it took requests.");
    this.name = "StartError";
  }
}

/** The first time it may have been bad luck; what fails again and again would only fill the log. */
const FIRST_RESTART_MS = 100;
const LAST_RESTART_MS = 10_000;
/** A process that lived for so long did not end because of how it started. */
const SETTLED_MS = 60_000;
/** A process that hangs in its own deadline. */
const GRACE_MS = 2_000;

/**
 * Starts so many processes of this program and keeps them: one that ends is started again. All listen on one port.
 *
 * @throws StartError when the first of them does not come up
 */
export async function startProcesses(
  options: ProcessesOptions,
): Promise<Processes> {
  const { count, log } = options;
  const metrics = new AggregatorRegistry<PrometheusContentType>();
  let isStopping = false;
  let restartInMs = FIRST_RESTART_MS;
  // Each takes connections from the shared socket itself. Node's default, giving them out from here in turn, loses those
  // that a process was just being given when it was killed: their senders wait for ever. Shared, a process got 40 to 60 %
  // of 128 connections, and as much was answered.
  cluster.schedulingPolicy = cluster.SCHED_NONE;

  const start = async (): Promise<number> => {
    const member = cluster.fork(options.environment);
    // What is sent to a process that is just ending fails so, and without a listener it would end this one.
    member.on("error", (error: Error) => {
      log.warn({ process: member.id, error: error.message }, "process failed");
    });
    answerMetricsQuestions(member, metrics);
    const port = await untilReady(member);
    log.info({ process: member.id, pid: member.process.pid }, "process ready");
    const readyAt = performance.now();
    member.once("exit", (code: number | null, signal: string | null) => {
      if (performance.now() - readyAt > SETTLED_MS)
        restartInMs = FIRST_RESTART_MS;
      startAgain({ process: member.id, code, signal });
    });
    return port;
  };

  const startAgain = (ended: object): void => {
    if (isStopping) return;
    log.error({ ...ended, restartInMs }, "process ended");
    setTimeout(() => {
      if (!isStopping) start().catch(startAgain);
    }, restartInMs);
    restartInMs = Math.min(restartInMs * 2, LAST_RESTART_MS);
  };

  const stop = async () => {
    isStopping = true;
    await Promise.all(
      members().map((member) => end(member, options.stopTimeoutMs)),
    );
  };

  // One alone at first: what is wrong with the configuration is then said once.
  const port = await start();
  try {
    await Promise.all(Array.from({ length: count - 1 }, start));
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, stop };
}

function members(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter(
    (member) => member !== undefined,
  );
}

function untilReady(member: Worker): Promise<number> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      member.off("exit", fail);
      member.off("error", fail);
      member.off("message", take);
    };
    const fail = () => {
      settle();
      reject(new StartError());
    };
    const take = (message: unknown) => {
      if (!isMemberMessage(message) || message.kind !== "ready") return;
      settle();
      resolve(message.port);
    };
    member.once("exit", fail);
    // A process that the system does not let start has no exit.
    member.once("error", fail);
    member.on("message", take);
  });
}

function answerMetricsQuestions(
  member: Worker,
  metrics: AggregatorRegistry<PrometheusContentType>,
): void {
  member.on("message", (message: unknown) => {
    if (!isMemberMessage(message) || message.kind !== "metrics-question")
      return;
    const answer = (content: Pick<MetricsAnswer, "text" | "error">) => {
      if (member.isConnected())
        member.send({ kind: "metrics-answer", ...content });
    };
    metrics.clusterMetrics().then(
      (text) => {
        answer({ text });
      },
      (error: unknown) => {
        answer({ error: String(error) });
      },
    );
  });
}

async function end(member: Worker, timeoutMs: number): Promise<void> {
  // It is still listed until its channel has closed, and will not exit again.
  if (member.isDead()) return;
  const ended = once(member, "exit");
  member.process.kill("SIGTERM");
  const timer = setTimeout(() => {
    member.process.kill("SIGKILL");
  }, timeoutMs + GRACE_MS);
  await ended;
  clearTimeout(timer);
}
