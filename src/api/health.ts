/** What a cluster asks: does the process live, may it get traffic, how is it doing. */
import type { RequestHandler } from "express";
import { Router } from "express";
import { methodNotAllowed } from "./answer.js";
import { callerOf, requireAdmin } from "./caller.js";
import type { ApiDeps } from "./deps.js";

/** `isDraining` makes `/readyz` 503 at once; `/healthz` depends on nothing. */
export function healthRoutes(deps: ApiDeps, isDraining: () => boolean): Router {
  const routes = Router({ caseSensitive: true, strict: true });
  const ready: RequestHandler = async (_req, res) => {
    const isReady = !isDraining() && (await isReadyOrFalse(deps));
    res.status(isReady ? 200 : 503).json({ status: isReady ? "ready" : "not ready" });
  };
  routes
    .route("/healthz")
    .get((_req, res) => void res.json({ status: "ok" }))
    .all(methodNotAllowed("GET", "HEAD"));
  routes.route("/readyz").get(ready).all(methodNotAllowed("GET", "HEAD"));
  if (!deps.settings.servesMetrics) return routes;
  const metrics: RequestHandler = async (req, res) => {
    requireAdmin(await callerOf(req, deps));
    res.type(deps.registry.contentType).send(await deps.registry.metrics());
  };
  routes.route("/metrics").get(metrics).all(methodNotAllowed("GET", "HEAD"));
  return routes;
}

async function isReadyOrFalse(deps: ApiDeps): Promise<boolean> {
  try {
    return await deps.isReady();
  } catch {
    return false; // what is away is logged where it was asked
  }
}
