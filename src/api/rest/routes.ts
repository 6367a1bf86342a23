/** The REST door: which address is whose. The rules are core's; each handler parses, calls and translates. */
import { Router } from "express";
import { methodNotAllowed } from "../answer.js";
import type { ApiDeps } from "../deps.js";
import { download } from "./download.js";
import { readCredentials, retrieve } from "./retrieve.js";
import { upload } from "./upload.js";

export function restRoutes(deps: ApiDeps): Router {
  const routes = Router({ caseSensitive: true, strict: true });
  routes.route("/api/upload").post(upload(deps)).all(methodNotAllowed("POST"));
  routes
    .route("/api/retrieve/:hash")
    .head(methodNotAllowed("GET", "POST")) // Express would answer HEAD with GET, and make a link nobody sees
    .get(retrieve(deps))
    .post(readCredentials(), retrieve(deps))
    .all(methodNotAllowed("GET", "POST"));
  routes.route("/d/:token").get(download(deps)).all(methodNotAllowed("GET", "HEAD"));
  return routes;
}
