import { Router } from "express";
import type { Metrics } from "../metrics.ts";

export function metricsRoute({ expose }: Pick<Metrics, "expose">): Router {
  const router = Router();
  router.get("/metrics", async (_request, response) => {
    const { contentType, text } = await expose();
    response.set("Content-Type", contentType).send(text);
  });
  return router;
}
