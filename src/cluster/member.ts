import cluster from "node:cluster";
import { AggregatorRegistry } from "prom-client";
import type { Registry } from "prom-client";
import type { MemberMessage } from "./messages.ts";
import { isMetricsAnswer } from "./messages.ts";

/** Which of the processes this one is, from 1; undefined when it is the only one. */
export function memberNumber(): number | undefined {
  return cluster.worker?.id;
}

/** Tells the first process that this one takes requests. */
export function tellReady(port: number): void {
  tell({ kind: "ready", port });
}

/** Longer than the first process waits for the others. */
const ANSWER_TIMEOUT_MS = 6_000;

/**
 * How the metrics of all processes are read, whichever of them is asked: they share the port, so a scrape reaches any.
 *
 * @param own of this process
 * @returns undefined when this process is the only one
 */
export function metricsOfAll(
  own: Registry,
): (() => Promise<string>) | undefined {
  if (!cluster.isWorker) return undefined;
  AggregatorRegistry.setRegistries(own);
  new AggregatorRegistry(); // from now on it answers the first process' question
  let underWay: Promise<string> | undefined;
  // One question however many ask: each makes every process read the database.
  return () =>
    (underWay ??= askFirstProcess().finally(() => (underWay = undefined)));
}

function askFirstProcess(): Promise<string> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      process.off("message", take);
      clearTimeout(timer);
    };
    const timer = setTimeout(() => {
      settle();
      reject(new Error("the first process does not answer"));
    }, ANSWER_TIMEOUT_MS);
    const take = (message: unknown) => {
      if (!isMetricsAnswer(message)) return;
      settle();
      if (message.text === undefined) reject(new Error(message.error));
      else resolve(message.text);
    };
    process.on("message", take);
    tell({ kind: "metrics-question" });
  });
}

function tell(message: MemberMessage): void {
  process.send?.(message);
}
