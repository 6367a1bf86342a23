/**
 * The pages for people, as Vite built them into dist/console: the page itself is asked for anew each time, what it loads
 * has a hash in its name and is kept for ever. A page loads nothing but from here, and each has a policy of its own.
 */
import type { ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import express from "express";
import type { RequestHandler } from "express";
import { Router } from "express";
import { VaultError } from "../core/errors.js";
import { methodNotAllowed } from "./answer.js";
import type { ApiDeps } from "./deps.js";
import { openapiDocument } from "./openapi.js";

/** From the sources and from what they are built to alike. */
const BUILT_PAGES = fileURLToPath(new URL("../../dist/console/", import.meta.url));

type Directives = Readonly<Record<string, string>>;

/** What every page starts from; Content-Security-Policy Level 3. */
const STRICT: Directives = {
  "default-src": "'none'",
  "base-uri": "'none'",
  "form-action": "'none'",
  "frame-ancestors": "'none'",
};

/** Monaco, GraphiQL's editor, writes <style> elements of its own; its fonts and images are data: URLs. No page may eval. */
const GRAPHIQL: Directives = {
  ...STRICT,
  "script-src": "'self'",
  "worker-src": "'self'",
  "style-src": "'self' 'unsafe-inline'",
  "img-src": "'self' data:",
  "font-src": "'self' data:",
  "connect-src": "'self'",
};

/** Swagger UI draws with images in data: URLs, and its script writes a few <style> elements. */
const OPENAPI: Directives = {
  ...STRICT,
  "script-src": "'self'",
  "style-src": "'self'",
  "img-src": "'self' data:",
  "connect-src": "'self'",
};

/** A worker has the policy of its own script, and loads parts of itself. */
const ASSETS: Directives = { ...STRICT, "script-src": "'self'" };

export function pageRoutes({ settings }: Pick<ApiDeps, "settings">): Router {
  const routes = Router({ caseSensitive: true, strict: true });
  routes.use(
    "/assets",
    withPolicy(ASSETS),
    express.static(`${BUILT_PAGES}/assets`, { index: false, redirect: false, setHeaders: keepForEver }),
  );
  const document = openapiDocument(settings);
  routes
    .route("/openapi.json")
    .get((_req, res) => void res.json(document))
    .all(methodNotAllowed("GET", "HEAD"));
  routes
    .route("/docs/api")
    .get(withPolicy(OPENAPI), page("openapi/index.html"))
    .all(methodNotAllowed("GET", "HEAD"));
  if (!settings.introspection) return routes; // GraphiQL knows nothing without it
  routes
    .route("/graphiql")
    .get(withPolicy(GRAPHIQL), page("graphiql/index.html"))
    .all(methodNotAllowed("GET", "HEAD"));
  return routes;
}

function withPolicy(directives: Directives): RequestHandler {
  const policy = Object.entries(directives).map(([name, value]) => `${name} ${value}`);
  return (_req, res, next) => {
    res.setHeader("Content-Security-Policy", policy.join("; "));
    next();
  };
}

/** For a year, which is as long as HTTP knows. Past Express, which leaves a Cache-Control that is there already. */
function keepForEver(res: ServerResponse): void {
  res.setHeader("Cache-Control", "public, max-age=31536000, immutable");
}

/** NOT_FOUND where a server was built without its pages. */
function page(file: string): RequestHandler {
  return (_req, res, next) => {
    res.sendFile(
      file,
      { root: BUILT_PAGES, cacheControl: false, etag: false, lastModified: false },
      error => {
        if (error) next(new VaultError("NOT_FOUND", "no such page", { cause: error }));
      },
    );
  };
}
