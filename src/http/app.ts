import type { Express, Router } from "express";
import express from "express";
import { answerNotFound, createErrorHandler } from "./error-answer.ts";

/**
 * An Express application of these routes, and of nothing that the hot path would pay for.
 *
 * @param report told of errors that are our fault
 * @param trustedProxies whose X-Forwarded-For is believed: a number of hops, or addresses
 */
export function createApp(
  routers: readonly Router[],
  report: (error: unknown) => void,
  trustedProxies: number | readonly string[] | undefined,
): Express {
  const app = express();
  app.disable("x-powered-by");
  app.set("etag", false);
  if (trustedProxies !== undefined) app.set("trust proxy", trustedProxies);
  for (const router of routers) app.use(router);
  app.use(answerNotFound);
  app.use(createErrorHandler(report));
  return app;
}
