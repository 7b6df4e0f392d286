import { createHash, timingSafeEqual } from "node:crypto";
import type { RequestHandler } from "express";
import { Router } from "express";
import { answerError, answerJson } from "./answers.ts";

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
    answerJson(response, 200, {
      events: await queries.events({
        state: textOf(state),
        cardId: textOf(card),
      }),
    });
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
    if (timingSafeEqual(digest(request.headers.authorization ?? ""), right))
      next();
    else {
      response.set("WWW-Authenticate", "Bearer");
      answerError(response, "unauthorized");
    }
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
