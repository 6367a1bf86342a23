/**
 * One log line a request, and nothing in it that opens anything: no headers, no query, no token out of a path, no body.
 * What may be logged is listed; nothing is redacted afterwards.
 */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import { pinoHttp } from "pino-http";

const REQUEST_ID = /^[\w.-]{1,64}$/;
const MAX_PATH_LENGTH = 200;
/** A capability in a path: all that follows `/d/` or `/files/`, and whatever else looks like a token (43 of base64url). */
const AFTER_DOOR = /(\/(?:d|files)\/+).+/gi;
const TOKEN = /(?<=\/)[\w-]{43}(?=\/|$)/g;
const QUIET_PATHS = new Set(["/healthz", "/readyz", "/metrics"]);

/** Gives each request its id and its log line. An inbound X-Request-Id is taken over if it is sane. */
export function requestLog(log: Logger) {
  return pinoHttp({
    logger: log,
    genReqId(req, res) {
      const given = req.headers["x-request-id"];
      const id = typeof given === "string" && REQUEST_ID.test(given) ? given : randomUUID();
      res.setHeader("X-Request-Id", id);
      return id;
    },
    wrapSerializers: false,
    serializers: {
      req: (req: IncomingMessage) => ({ id: req.id, method: req.method, path: safePath(urlOf(req)) }),
      res: (res: ServerResponse) => ({ status: res.statusCode }),
      err: describeError,
    },
    customErrorObject: (_req, _res, _error, line) => ({ ...line, err: undefined }), // told where it happened
    customLogLevel: (_req, res) => (res.statusCode >= 500 ? "warn" : "info"),
    autoLogging: { ignore: req => QUIET_PATHS.has(urlOf(req)) },
  });
}

/** A URL without what must not be kept: its query, and the capabilities in its path. */
export function safePath(url: string): string {
  const path = url.replace(/[?#].*$/s, "").slice(0, MAX_PATH_LENGTH);
  return path.replace(AFTER_DOOR, "$1***").replace(TOKEN, "***");
}

/** Type, message, code and stack. Other properties are left out: body parsers hang the whole body on their errors. */
export function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const { name, message, stack, cause } = error;
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return {
    type: name,
    message,
    code,
    stack,
    cause: cause instanceof Error ? describeError(cause) : undefined,
  };
}

/** Express rewrites `url` under a mounted router. */
function urlOf(req: IncomingMessage): string {
  return ("originalUrl" in req && typeof req.originalUrl === "string" ? req.originalUrl : req.url) ?? "";
}
