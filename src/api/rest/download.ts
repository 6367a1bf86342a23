/**
 * `GET|HEAD /d/<token>`: the decrypted file. Nothing is sent before the first piece has been authenticated, so that a
 * file that cannot be had is an error and not a broken download; a failure after that cuts the connection.
 */
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { RequestHandler, Response } from "express";
import { VaultError } from "../../core/errors.js";
import type { OpenLink } from "../../core/links.js";
import { visitorOf } from "../caller.js";
import type { ApiDeps } from "../deps.js";
import { cutStalledReader, signalOf } from "../limits.js";
import { displayHeaders } from "./display.js";
import type { RequestedRange } from "./range.js";
import { isUnchanged, requestedRange } from "./range.js";

export function download(deps: ApiDeps): RequestHandler<{ token: string }> {
  return async (req, res) => {
    const link = await deps.downloads.describe(req.params.token, visitorOf(req));
    const { hash, plainBytes } = link.file;
    const etag = `"${hash}"`;
    if (isUnchanged(req.headers, etag)) {
      res.status(304).set({ ETag: etag, "Cache-Control": "private, no-store" }).end();
      return;
    }
    const range = rangeOr416(res, () => requestedRange(req.headers, etag, plainBytes), plainBytes);
    if (req.method === "HEAD") {
      describe(res, link, range);
      res.end();
      return;
    }
    const stream = await deps.downloads.start(link, range, {
      signal: signalOf(res),
      onReclaim: why => res.destroy(why),
    });
    describe(res, link, range);
    cutStalledReader(res, deps.settings.stallTimeoutMs);
    try {
      await pipeline(stream, eachSent(res)).then(
        () => deps.downloads.delivered(link, range),
        error => req.log.warn({ fileId: link.file.id, reason: String(error) }, "a download was cut short"),
      );
    } finally {
      await stream.return(); // lets go of its memory, also when the client went before anything was read
    }
  };
}

/** Takes a piece only once the one before it has left for the socket, since its memory is used again then. */
function eachSent(res: Response): Writable {
  const sink = new Writable({
    highWaterMark: 1, // a write always asks to wait
    write: (piece, _encoding, done) => void res.write(piece, done),
    final: done => void res.end(done),
    destroy(error, done) {
      if (error) res.destroy();
      done(error);
    },
  });
  res.once("close", () => sink.destroy(res.writableFinished ? undefined : new Error("the client has gone")));
  return sink;
}

function describe(res: Response, { file, grant, meta }: OpenLink, range: RequestedRange): void {
  res.status(range.isPartial ? 206 : 200);
  res.set({
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-store",
    "Content-Length": String(range.end - range.start),
    ETag: `"${file.hash}"`,
  });
  // Past Express, which would add a charset of its own.
  res.setHeaders(new Map(Object.entries(displayHeaders(meta, grant.disposition))));
  if (range.isPartial) res.set("Content-Range", `bytes ${range.start}-${range.end - 1}/${file.plainBytes}`);
}

function rangeOr416(res: Response, parse: () => RequestedRange, size: number): RequestedRange {
  try {
    return parse();
  } catch (error) {
    if (error instanceof VaultError) res.set("Content-Range", `bytes */${size}`);
    throw error;
  }
}
