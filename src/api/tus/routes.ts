/**
 * The tus 1.0 door at /files (https://tus.io/protocols/resumable-upload). @tus/server speaks the protocol over our store;
 * what it lacks or gets in the way of is done around it, and docs/architecture.md says why: HEAD, concatenation, checksums,
 * the method override, and the statuses 412, 415 and 403.
 */
import type { Locker } from "@tus/utils";
import { Server } from "@tus/server";
import type { ErrorRequestHandler, Request as ExpressRequest, RequestHandler, Response } from "express";
import { Router } from "express";
import { VaultError } from "../../core/errors.js";
import type { Upload } from "../../core/model.js";
import { tooLarge } from "../../core/upload-errors.js";
import { callerOf, visitorOf } from "../caller.js";
import type { ApiDeps } from "../deps.js";
import { answerOf, badRequest } from "../errors.js";
import { endEarly } from "../leftovers.js";
import { signalOf } from "../limits.js";
import { track } from "../under-way.js";
import { Checksum, CHECKSUM_ALGORITHMS } from "./checksum.js";
import { concatenate } from "./concatenation.js";
import type { TusContext } from "./context.js";
import { tusContext, uploadSeen, withContext } from "./context.js";
import { beginUpload, FINAL, finishUpload } from "./creation.js";
import { describeUpload } from "./head.js";
import { Leaving } from "./leaving.js";
import { EXTENSIONS, expiresHeader, TusStore } from "./store.js";

const VERSION = "1.0.0";
const BODY_TYPE = "application/offset+octet-stream";
/** How long the body of a client that is gone may take to end, in milliseconds. */
const GONE_GRACE_MS = 2_000;
const SHOWN = /^(tus|upload|content)-/;
const DIGITS = /^\d+$/;
/** @tus/server answers larger ones with 400, whatever they are of. */
const MAX_NUMBER = Number.MAX_SAFE_INTEGER;

interface TusDeps extends ApiDeps {
  readonly leaving: Leaving;
}

export function tusRoutes(apiDeps: ApiDeps): RequestHandler {
  const deps = { ...apiDeps, leaving: new Leaving() };
  const tus = tusServer(deps);
  const router = Router({ caseSensitive: true, strict: true });
  router.use(overrideMethod, protocolHeaders(deps), checkProtocol(deps));
  router.use(async (req, res, next) => {
    try {
      const context = await contextOf(deps, req, res);
      await track(deps, answer(deps, tus, context));
    } catch (error) {
      next(error);
    }
  });
  router.use(refuse(deps));
  return router;
}

async function answer(deps: TusDeps, tus: Server, context: TusContext): Promise<void> {
  const { req, res, caller } = context;
  const token = tokenOf(req);
  const isOfAnUpload = token !== "";
  const methods = isOfAnUpload ? ["HEAD", "PATCH", "DELETE", "OPTIONS"] : ["POST", "OPTIONS"];
  if (!methods.includes(req.method)) {
    res.setHeader("Allow", methods.join(", "));
    throw new VaultError("METHOD_NOT_ALLOWED", "not a method of this address");
  }
  if (req.method === "HEAD") {
    await deps.leaving.settled(token);
    res
      .set(await describeUpload(deps, token, caller))
      .status(200)
      .end();
    return;
  }
  if (req.method === "POST" && req.get("Upload-Concat")?.startsWith(FINAL)) {
    res
      .set(await concatenate(deps, name => req.get(name), caller))
      .status(201)
      .end();
    return;
  }
  if (req.method === "PATCH") refuseFinal(deps, token, await uploadSeen(context, deps.uploads, token));
  const answered = await withContext(context, () => tus.handleWeb(shown(context)));
  const isConflict = req.method === "PATCH" && answered.status === 409;
  const extra = isConflict ? await offsetNow(deps, token) : {};
  const isUntold = answered.status >= 400 || res.destroyed;
  // Already sent where the client was too slow, and was told.
  if (!res.headersSent) {
    res.status(answered.status).set({ ...namesAsWritten(answered.headers), ...extra });
    await endEarly(req, res, await answered.text());
  }
  if (isUntold) await forgetBegun(deps, context);
}

/** As the protocol writes them: some clients look for `Location` and `Upload-Offset` letter by letter. */
function namesAsWritten(headers: Headers): Record<string, string> {
  const written = (name: string) => name.replace(/(^|-)[a-z]/g, letters => letters.toUpperCase());
  return Object.fromEntries([...headers].map(([name, value]) => [written(name), value]));
}

/**
 * Where to go on after a 409, as the protocol's branch 1.1 has it ("SHOULD include the upload's current offset"): TUSKit goes
 * by it, and never asks with HEAD. Nothing where that cannot be told.
 */
async function offsetNow({ uploads, leaving }: TusDeps, token: string): Promise<Record<string, string>> {
  await leaving.settled(token);
  const upload = await uploads.find(token).catch(() => null);
  return upload ? { "Upload-Offset": String(upload.offset) } : {};
}

/** Of an upload whose creation failed nobody ever learns the URL. If it is a file by now, that stays. */
async function forgetBegun({ uploads }: ApiDeps, { begun, caller, req }: TusContext): Promise<void> {
  if (begun === undefined) return;
  try {
    await uploads.abandon(begun, caller);
  } catch (error) {
    if (error instanceof VaultError && error.code === "UPLOAD_ALREADY_FINISHED") return;
    req.log.warn({ reason: String(error) }, "an upload that nobody knows of stays until it expires");
  }
}

/**
 * What @tus/server is shown of a request: the headers of the protocol, since it refuses some values of others; of those no
 * length that was declared before, since it refuses to be told again, and no metadata, since it refuses an empty header, which
 * several clients send, and creation.ts has read it. The body would come to the store through a web stream
 * and three Node streams, which copy it twice and leave a collection's worth of garbage for each 64 MiB: the store reads it
 * where it comes in.
 */
function shown({ req: { method, headers }, upload }: TusContext): Request {
  const isKnown = headers["upload-length"] === String(upload?.length);
  const hidden = ["upload-metadata", ...(isKnown ? ["upload-length"] : [])];
  const names = Object.keys(headers).filter(name => SHOWN.test(name) && !hidden.includes(name));
  const pairs = names.map(name => [name, String(headers[name])] as [string, string]);
  return new Request("http://tus/files", { method, headers: pairs });
}

/** The upload's; empty for the address where uploads begin. */
function tokenOf(req: ExpressRequest): string {
  return req.path.slice(1);
}

function tusServer(deps: TusDeps): Server {
  const { uploads, settings, leaving } = deps;
  return new Server({
    path: "/files",
    datastore: new TusStore(uploads, leaving),
    locker: NO_LOCKS,
    maxSize: settings.maxUploadBytes,
    // The cors middleware answers for all doors, from one list.
    allowedOrigins: () => false,
    exposedHeaders: ["File-Hash", "Retry-After", "Tus-Checksum-Algorithm", "Upload-Expires", "X-Request-Id"],
    // The id of an upload is its token, which only beginning it gives.
    async namingFunction() {
      const context = tusContext();
      const { req, res, caller } = context;
      const { upload, token } = await beginUpload(uploads, name => req.get(name), caller);
      context.upload = upload;
      context.begun = token;
      if (upload.length !== 0) res.setHeader("Upload-Expires", expiresHeader(upload));
      return token;
    },
    generateUrl: (_req, { id }) => `${deps.publicUrl()}/files/${id}`,
    getFileIdFromRequest: () => tokenOf(tusContext().req),
    async onUploadFinish(_req, { id }) {
      const context = tusContext();
      const { res, caller } = context;
      const hash = await finishUpload(uploads, id, await uploadSeen(context, uploads, id), caller);
      if (hash === null) {
        res.setHeader("Upload-Expires", expiresHeader(await uploads.find(id)));
        return {};
      }
      res.removeHeader("Upload-Expires");
      return { headers: { "File-Hash": hash } };
    },
    // @tus/server's own refusals are no Errors, and stay as they are.
    onResponseError(_req, error) {
      const { req, res } = tusContext();
      return error instanceof Error ? refusalOf(deps, error, req, res) : undefined;
    },
  });
}

/** Leases fence writers where they commit (core/append.ts), so nobody ever waits for a lock, or is told 423. */
const NO_LOCKS: Locker = { newLock: () => ({ lock: async () => {}, unlock: async () => {} }) };

/** Refusals of ours that @tus/server never saw, in the form of those that it answers: the sentence as text. */
function refuse(deps: ApiDeps): ErrorRequestHandler {
  return async (error, req, res, next) => {
    if (res.headersSent) return next(error);
    const { status_code, body } = refusalOf(deps, error, req, res);
    const length = Buffer.byteLength(body);
    res.status(status_code).set({ "Content-Type": "text/plain; charset=utf-8", "Content-Length": length });
    await endEarly(req, res, body);
  };
}

/** Status and sentence from the one catalogue, in the shape in which @tus/server takes them. */
function refusalOf(
  deps: ApiDeps,
  error: unknown,
  req: ExpressRequest,
  res: Response,
): { status_code: number; body: string } {
  const { code, status, message, retryAfterSeconds } = answerOf(error, deps.isDatabaseAway);
  if (code === "INTERNAL") req.log.error({ code, err: error }, "request failed");
  if (code === "UNAUTHENTICATED") res.setHeader("WWW-Authenticate", "Bearer");
  if (retryAfterSeconds !== undefined) res.setHeader("Retry-After", retryAfterSeconds);
  return { status_code: status, body: `${message}\n` };
}

async function contextOf(deps: ApiDeps, req: ExpressRequest, res: Response): Promise<TusContext> {
  const signal = slowSignal(res); // before anything is waited for, so that no end of the client is missed
  return {
    req,
    res,
    caller: await callerOf(req, deps).catch(error => {
      if (tokenOf(req) !== "" && isOfToken(error)) return visitorOf(req);
      throw error;
    }),
    signal,
    checksum: Checksum.parse(req.get("Upload-Checksum")),
    upload: null,
  };
}

/**
 * Whether it is the bearer token that is at fault. Who has an upload's URL needs none, and many clients send theirs with every
 * request: one that expires must not end the upload.
 */
function isOfToken(error: unknown): boolean {
  return error instanceof VaultError && ["UNAUTHENTICATED", "IDENTITY_UNAVAILABLE"].includes(error.code);
}

/**
 * Fires at once for a client that is too slow. For one that is gone it waits: the body ends then with what had come, and
 * all of that is to be kept.
 */
function slowSignal(res: Response): AbortSignal {
  const slow = new AbortController();
  const signal = signalOf(res);
  signal.addEventListener("abort", () => {
    const { reason } = signal;
    if (reason instanceof VaultError && reason.code === "SLOW_CLIENT") slow.abort(reason);
    else setTimeout(() => slow.abort(reason), GONE_GRACE_MS).unref();
  });
  return slow.signal;
}

/** "The Final Upload MUST NOT be modified": 403. */
function refuseFinal({ uploads }: ApiDeps, token: string, upload: Upload): void {
  if (!uploads.factsOf(token, upload).uploadConcat?.startsWith(FINAL)) return;
  throw new VaultError("FINAL_UPLOAD", `upload ${upload.id} is made of its parts`);
}

/** "The actual method of the request MUST be ignored": for clients behind proxies that know only GET and POST. */
const overrideMethod: RequestHandler = (req, _res, next) => {
  const method = req.get("X-HTTP-Method-Override");
  if (method) req.method = method.toUpperCase();
  next();
};

/** On every answer, errors included. */
function protocolHeaders({ settings }: ApiDeps): RequestHandler {
  return (req, res, next) => {
    res.setHeader("Tus-Resumable", VERSION);
    if (req.method === "OPTIONS") {
      res.set({
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS.join(","),
        "Tus-Max-Size": String(settings.maxUploadBytes),
        "Tus-Checksum-Algorithm": CHECKSUM_ALGORITHMS,
      });
    }
    next();
  };
}

/** What @tus/server answers with 400: 412 for another version of the protocol, 415 for another type of body. */
function checkProtocol({ settings }: ApiDeps): RequestHandler {
  return (req, res, next) => {
    if (req.method === "OPTIONS") return next();
    if (req.get("Tus-Resumable") !== VERSION) {
      res.setHeader("Tus-Version", VERSION);
      throw new VaultError("UNSUPPORTED_TUS_VERSION", "another version of tus");
    }
    if (req.method === "PATCH" && req.get("Content-Type") !== BODY_TYPE) {
      throw new VaultError("UNSUPPORTED_MEDIA_TYPE", "a PATCH of another type");
    }
    const [length, offset] = [digits(req, "Upload-Length"), digits(req, "Upload-Offset")];
    if (length > MAX_NUMBER) throw tooLarge(length, settings.maxUploadBytes);
    if (offset > MAX_NUMBER) throw new VaultError("OFFSET_MISMATCH", `no upload stands at ${offset}`);
    next();
  };
}

/** The number in a header; 0 where there is none. (@tus/server reads “5e+21” as 5.) */
function digits(req: ExpressRequest, name: string): number {
  const text = req.get(name) ?? "0";
  if (!DIGITS.test(text)) throw badRequest(`${name} is a whole number, in digits.`, name);
  return Number(text);
}
