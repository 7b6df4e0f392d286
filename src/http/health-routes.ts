import { Router } from "express";
import { answerJson } from "./answer-json.ts";

/** What the service needs to do its work. Each check rejects when it is not there. */
export interface HealthChecks {
  readonly postgres: () => Promise<void>;
  readonly queue: () => Promise<void>;
  readonly migrations: () => Promise<void>;
}

type State = "up" | "down";

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
  router.get("/healthz", (_request, response) => {
    answerJson(response, 200, { status: "ok", version });
  });
  router.get("/readyz", async (_request, response) => {
    const [postgres, queue, migrations] = await Promise.all([
      stateOf(checks.postgres),
      stateOf(checks.queue),
      stateOf(checks.migrations),
    ]);
    const isReady = postgres === "up" && migrations === "up" && !isStopping();
    // Without its queue the service still takes events in and applies them: slower, so it says so.
    const status = isReady
      ? queue === "up"
        ? "ready"
        : "degraded"
      : "unavailable";
    answerJson(response, isReady ? 200 : 503, {
      status,
      version,
      postgres: { status: postgres },
      queue: { status: queue },
      migrations: { status: migrations },
    });
  });
  return router;
}

async function stateOf(check: () => Promise<void>): Promise<State> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<State>((resolve) => {
    timer = setTimeout(resolve, CHECK_TIMEOUT_MS, "down");
  });
  const checked = check().then(
    (): State => "up",
    (): State => "down",
  );
  return Promise.race([checked, late]).finally(() => {
    clearTimeout(timer);
  });
}
