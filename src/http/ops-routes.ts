import { createHash, timingSafeEqual } from "node:crypto";
import type { RequestHandler } from "express";
import { Router } from "express";
import type { Metrics } from "../metrics.ts";
import { within } from "../process/within.ts";
import { answerError, answerJson } from "./answers.ts";

/** `/metrics`: Prometheus' text format. */
export function metricsRoute({ expose }: Pick<Metrics, "expose">): Router {
  return Router().get("/metrics", async (_request, response) => {
    const { contentType, text } = await expose();
    response.set("Content-Type", contentType).send(text);
  });
}

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
  router.get("/healthz", (_request, response) => {
    answerJson(response, 200, { status: "ok", version });
  });
  const asks = [checks.postgres, checks.queue, checks.migrations].map(sharing);
  router.get("/readyz", async (_request, response) => {
    const states = await Promise.all(asks.map((ask) => ask()));
    const [postgres, queue, migrations] = states;
    // Without its queue the service still takes events in and applies them: slower, so it says so.
    const isUsable = [postgres, migrations].every(
      (state) => state?.status !== "down",
    );
    const isReady = isUsable && !isStopping();
    const isWhole = states.every(({ status }) => status === "up");
    const working = isWhole ? "ready" : "degraded";
    const notReady = isStopping() ? "stopping" : "unavailable";
    answerJson(response, isReady ? 200 : 503, {
      status: isReady ? working : notReady,
      version,
      postgres,
      queue,
      migrations,
    });
  });
  return router;
}

/** Requests that come while an answer is being found share it: many requests must not take all connections. */
function sharing(check: Check): () => Promise<State> {
  let asked: Promise<State> | undefined;
  return () =>
    (asked ??= stateOf(check).finally(() => {
      asked = undefined;
    }));
}

async function stateOf(check: Check): Promise<State> {
  try {
    const reason = await within(check(), CHECK_TIMEOUT_MS, "check");
    return reason === undefined
      ? { status: "up" }
      : { status: "degraded", reason };
  } catch (error) {
    return error instanceof NotReadyError
      ? { status: "down", reason: error.message }
      : { status: "down" };
  }
}

/** What an operator may look at. Neither shows a body. */
export interface AdminQueries {
  /** The newest events of the inbox; of one state, one card or both. */
  readonly events: (filter: AdminFilter) => Promise<readonly object[]>;
  /** The newest open quarantine entries. */
  readonly quarantine: () => Promise<readonly object[]>;
}

export interface AdminFilter {
  readonly state: string | undefined;
  readonly cardId: string | undefined;
}

/** `/admin`: the inbox and the quarantine as JSON, with the admin token only. */
export function adminRoutes(token: string, queries: AdminQueries): Router {
  const router = Router();
  router.use("/admin", requireToken(token));
  router.get("/admin/events", async (request, response) => {
    const { state, card } = request.query;
    const filter = { state: textOf(state), cardId: textOf(card) };
    answerJson(response, 200, { events: await queries.events(filter) });
  });
  router.get("/admin/quarantine", async (_request, response) => {
    answerJson(response, 200, { quarantine: await queries.quarantine() });
  });
  return router;
}

function requireToken(token: string): RequestHandler {
  const right = digest(`Bearer ${token}`);
  return (request, response, next) => {
    // Digests have one length, so that the comparison tells nothing of the token's.
    if (timingSafeEqual(digest(request.headers.authorization ?? ""), right)) {
      next();
      return;
    }
    response.set("WWW-Authenticate", "Bearer");
    answerError(response, "unauthorized");
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
