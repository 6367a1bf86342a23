/** An error as the REST door and everything around it answers it: JSON from the one catalogue. */
import type { Request, RequestHandler, Response } from "express";
import { VaultError } from "../core/errors.js";
import type { Answer, IsDatabaseAway } from "./errors.js";
import { answerOf } from "./errors.js";
import { endEarly } from "./leftovers.js";

const SERVER_ERROR = 500;

/** Responses that have got their error already. */
const answered = new WeakSet<Response>();

/** What of an answer goes into the body, in a door's own form. */
type ToBody = (answer: Answer, requestId: string) => object;

/** Answers with `error`, once; after a started body the connection is cut, so that nobody takes it for whole. */
export async function sendError(
  req: Request,
  res: Response,
  error: unknown,
  isDatabaseAway: IsDatabaseAway,
  toBody: ToBody = restBody,
): Promise<void> {
  const answer = answerOf(error, isDatabaseAway);
  logError(req, error, answer);
  if (answered.has(res) || res.destroyed) return;
  if (res.headersSent) {
    res.destroy();
    return;
  }
  answered.add(res);
  const body = JSON.stringify(toBody(answer, String(req.id)));
  res.status(statusFor(answer, res));
  res.setHeader("Content-Type", "application/json; charset=utf-8");
  res.setHeader("Content-Length", Buffer.byteLength(body));
  if (answer.code === "UNAUTHENTICATED") res.setHeader("WWW-Authenticate", "Bearer");
  if (answer.retryAfterSeconds !== undefined) res.setHeader("Retry-After", answer.retryAfterSeconds);
  await endEarly(req, res, body);
}

/** The whole answer to methods that an address does not know. */
export function methodNotAllowed(...allowed: readonly string[]): RequestHandler {
  return (_req, res) => {
    res.setHeader("Allow", allowed.join(", "));
    throw new VaultError("METHOD_NOT_ALLOWED", "method not allowed");
  };
}

/** A door that challenges for credentials answers 401, whatever the table says of the code. */
function statusFor(answer: Answer, res: Response): number {
  return res.hasHeader("WWW-Authenticate") ? 401 : answer.status;
}

function restBody(answer: Answer, requestId: string): object {
  return {
    status: "error",
    code: answer.code,
    message: answer.message,
    field: answer.field,
    retry_after: answer.retryAfterSeconds,
    request_id: requestId,
  };
}

/** Ours to mend: with the error. The caller's: the code alone, since parsers quote what they were given. */
function logError(req: Request, error: unknown, { code, status }: Answer): void {
  if (status < SERVER_ERROR) req.log.debug({ code }, "request refused");
  else if (code === "INTERNAL") req.log.error({ code, err: error }, "request failed");
  else req.log.warn({ code, err: error }, "request failed");
}
