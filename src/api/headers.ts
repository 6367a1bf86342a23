/** The headers every answer has, and which pages of other origins may read it. Doors only add to them. */
import type { CorsOptions } from "cors";
import cors from "cors";
import type { RequestHandler } from "express";
import helmet from "helmet";

const PREFLIGHT_MAX_AGE_SECONDS = 24 * 3600;

/** Nothing that is answered here is a page: it may load nothing, be framed by nobody and be kept by no cache. */
export function securityHeaders(): readonly RequestHandler[] {
  return [
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'none'"],
          baseUri: ["'none'"],
          frameAncestors: ["'none'"],
          formAction: ["'none'"],
        },
      },
      crossOriginResourcePolicy: { policy: "same-origin" },
      referrerPolicy: { policy: "no-referrer" },
      strictTransportSecurity: { maxAge: 365 * 24 * 3600, includeSubDomains: true },
      xFrameOptions: { action: "deny" },
    }),
    (_req, res, next) => {
      res.setHeader("Cache-Control", "no-store");
      next();
    },
  ];
}

/**
 * Never with credentials: no door reads cookies. Answers preflights; an OPTIONS that is none, as tus clients send to
 * learn what the server can do, goes on to its door.
 */
export function crossOrigin(origins: readonly string[]): RequestHandler {
  const options: CorsOptions = {
    origin: origins.length === 0 ? false : [...origins],
    methods: ["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"],
    allowedHeaders: [
      "Authorization",
      "Content-Type",
      "File-Password",
      "Range",
      "If-Range",
      "If-None-Match",
      "X-Request-Id",
      "Apollo-Require-Preflight",
      "Tus-Resumable",
      "Upload-Length",
      "Upload-Defer-Length",
      "Upload-Offset",
      "Upload-Metadata",
      "Upload-Checksum",
      "Upload-Concat",
      "Upload-Password",
      "X-HTTP-Method-Override",
    ],
    exposedHeaders: [
      "Accept-Ranges",
      "Content-Disposition",
      "Content-Length",
      "Content-Range",
      "ETag",
      "File-Hash",
      "Location",
      "Retry-After",
      "X-Request-Id",
      "Tus-Resumable",
      "Tus-Version",
      "Tus-Extension",
      "Tus-Max-Size",
      "Tus-Checksum-Algorithm",
      "Upload-Length",
      "Upload-Defer-Length",
      "Upload-Offset",
      "Upload-Metadata",
      "Upload-Expires",
      "Upload-Concat",
    ],
    maxAge: PREFLIGHT_MAX_AGE_SECONDS,
  };
  const preflight = cors(options);
  const others = cors({ ...options, preflightContinue: true });
  return (req, res, next) => {
    const answer = req.headers["access-control-request-method"] === undefined ? others : preflight;
    answer(req, res, next);
  };
}
