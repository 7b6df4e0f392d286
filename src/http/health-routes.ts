import { Router } from "express";
import { answerJson } from "./answers.ts";

/**
 * What the service needs to do its work. Each check rejects when it is not there, and resolves with a few words when it
 * is there and yet not as it should be.
 */
export interface HealthChecks {
  readonly postgres: Check;
  readonly queue: Check;
  readonly migrations: Check;
}

type Check = () => Promise<string | undefined>;

/** A check may tell why it fails; all who can reach the port read it. */
export class NotReadyError extends Error {
  override readonly name = "NotReadyError";
}

interface State {
  readonly status: "up" | "degraded" | "down";
  readonly reason?: string;
}

/** A check that hangs is a check that failed. */
const CHECK_TIMEOUT_MS = 3_000;

/**
 * @param isStopping true once the service shuts down: it then asks to be sent no more
 */
export function healthRoutes(
  checks: HealthChecks,
  version: string,
  isStopping: () => boolean,
): Router {
  const router = Router();
  const postgresState = sharing(() => stateOf(checks.postgres));
  const queueState = sharing(() => stateOf(checks.queue));
  const migrationsState = sharing(() => stateOf(checks.migrations));
  router.get("/healthz", (_request, response) => {
    answerJson(response, 200, { status: "ok", version });
  });
  router.get("/readyz", async (_request, response) => {
    const [postgres, queue, migrations] = await Promise.all([
      postgresState(),
      queueState(),
      migrationsState(),
    ]);
    const isReady =
      postgres.status !== "down" &&
      migrations.status !== "down" &&
      !isStopping();
    // Without its queue the service still takes events in and applies them: slower, so it says so.
    const isWhole = [postgres, queue, migrations].every(
      ({ status }) => status === "up",
    );
    const working = isWhole ? "ready" : "degraded";
    const notReady = isStopping() ? "stopping" : "unavailable";
    const status = isReady ? working : notReady;
    answerJson(response, isReady ? 200 : 503, {
      status,
      version,
      postgres,
      queue,
      migrations,
    });
  });
  return router;
}

/** Requests that come while an answer is being found share it: many requests must not take all connections. */
function sharing<Result>(ask: () => Promise<Result>): () => Promise<Result> {
  let asked: Promise<Result> | undefined;
  return () =>
    (asked ??= ask().finally(() => {
      asked = undefined;
    }));
}

async function stateOf(check: Check): Promise<State> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<State>((resolve) => {
    timer = setTimeout(resolve, CHECK_TIMEOUT_MS, { status: "down" });
  });
  const checked = check().then(
    (reason): State =>
      reason === undefined ? { status: "up" } : { status: "degraded", reason },
    (error: unknown): State =>
      error instanceof NotReadyError
        ? { status: "down", reason: error.message }
        : { status: "down" },
  );
  return Promise.race([checked, late]).finally(() => {
    clearTimeout(timer);
  });
}
