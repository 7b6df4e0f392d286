import type { Express, Router } from "express";
import express from "express";
import { answerNotFound, createErrorHandler } from "./answers.ts";

/**
 * An Express application of these routes, and of nothing that the hot path would pay for.
 *
 * @param report told of errors that are our fault
 */
export function createApp(
  routers: readonly Router[],
  report: (error: unknown) => void,
): Express {
  const app = express();
  app.disable("x-powered-by");
  app.set("etag", false);
  for (const router of routers) app.use(router);
  app.use(answerNotFound);
  app.use(createErrorHandler(report));
  return app;
}
