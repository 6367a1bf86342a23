/**
 * The one HTTP port: what holds for every door (ids, logs, headers, limits, errors) in the order in which a request
 * meets it, then the doors, then the end of the process.
 */
import type { Server } from "node:http";
import { createServer } from "node:http";
import express from "express";
import type { ErrorRequestHandler, Express, RequestHandler } from "express";
import { VaultError } from "../core/errors.js";
import { sendError } from "./answer.js";
import type { ApiDeps } from "./deps.js";
import { startGraphql } from "./graphql/server.js";
import { crossOrigin, securityHeaders } from "./headers.js";
import { healthRoutes } from "./health.js";
import { boundLeftovers } from "./leftovers.js";
import { watch } from "./limits.js";
import { requestLog } from "./logging.js";
import { pageRoutes } from "./pages.js";
import { restRoutes } from "./rest/routes.js";
import { tusRoutes } from "./tus/routes.js";
import { settled } from "./under-way.js";

export type { ApiDeps } from "./deps.js";

/** Above the 600 s for which Google's load balancer keeps a connection to us: whoever closes first must not be us. */
const KEEP_ALIVE_TIMEOUT_MS = 620_000;
const MAX_CHECK_INTERVAL_MS = 5000;
/** How often a drain closes connections that have become idle. */
const DRAIN_TICK_MS = 50;

export interface Api {
  readonly app: Express;
  /** Not yet listening. */
  readonly server: Server;
  /**
   * Not ready from now on, no new connections; resolves when the requests under way have been answered, or after
   * `graceMs`, when what is left is cut.
   */
  drain(graceMs: number): Promise<void>;
}

export async function createApi(deps: ApiDeps): Promise<Api> {
  const { settings } = deps;
  let isDraining = false;
  const graphql = await startGraphql(deps);
  const app = express();
  app.disable("x-powered-by").disable("etag");
  app.enable("case sensitive routing").enable("strict routing");
  app.set("trust proxy", settings.trustProxy);
  app.use(requestLog(deps.log), ...securityHeaders(), crossOrigin(settings.corsOrigins));
  app.use((_req, res, next) => {
    if (isDraining) res.setHeader("Connection", "close");
    next();
  });
  app.use(bounds(deps));
  app.use(healthRoutes(deps, () => isDraining));
  app.use(pageRoutes(deps));
  app.use(restRoutes(deps));
  app.use("/files", tusRoutes(deps));
  app.use("/graphql", graphql.handler);
  app.use(() => {
    throw new VaultError("NOT_FOUND", "no such address");
  });
  const onError: ErrorRequestHandler = async (error, req, res, _next) => {
    await sendError(req, res, error, deps.isDatabaseAway);
  };
  app.use(onError);

  const server = openServer(app, deps);
  return {
    app,
    server,
    async drain(graceMs) {
      isDraining = true;
      await closeWithin(server, graceMs);
      await settled(deps);
      await graphql.stop();
    },
  };
}

/** Watches every request for slow clients, and for what is left of it after its answer. */
function bounds(deps: ApiDeps): RequestHandler {
  return (req, res, next) => {
    watch(req, res, deps.settings, error => void sendError(req, res, error, deps.isDatabaseAway));
    boundLeftovers(req, res);
    next();
  };
}

function openServer(app: Express, { settings }: ApiDeps): Server {
  const { headersTimeoutMs } = settings;
  const server = createServer(
    {
      // Node's limit on the whole request would cut long uploads (408 after five minutes); limits.ts bounds slow ones.
      requestTimeout: 0,
      headersTimeout: headersTimeoutMs,
      connectionsCheckingInterval: Math.min(MAX_CHECK_INTERVAL_MS, headersTimeoutMs / 2),
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    },
    app,
  );
  server.timeout = 0;
  server.maxConnections = settings.maxConnections;
  return server;
}

async function closeWithin(server: Server, graceMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  const idle = setInterval(() => server.closeIdleConnections(), DRAIN_TICK_MS);
  const grace = setTimeout(() => server.closeAllConnections(), graceMs);
  await promise;
  clearInterval(idle);
  clearTimeout(grace);
}
