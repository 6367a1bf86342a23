/**
 * A multipart form as the sequence it is: fields and files in the order in which they come, each file's bytes to be
 * read before the next part is asked for. A form that is cut short throws, in the file or after it; it never just ends.
 */
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { PassThrough } from "node:stream";
import busboy from "busboy";
import { VaultError } from "../../core/errors.js";
import { badRequest } from "../errors.js";
import { Pieces } from "../pieces.js";
import { ParsedPieces } from "./parsed.js";

export type FormPart = FieldPart | FilePart;

export interface FieldPart {
  readonly kind: "field";
  readonly name: string;
  readonly value: string;
}

export interface FilePart {
  readonly kind: "file";
  readonly name: string;
  /** Undefined where the part has none, or an empty one. */
  readonly fileName: string | undefined;
  readonly mediaType: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** Far more than any form of ours has; the second file is let in so that it can be refused by name. */
const LIMITS = { fields: 16, files: 2, parts: 18, fieldSize: 8 * 1024, fieldNameSize: 100 };

/** Throws UNSUPPORTED_MEDIA_TYPE for another body, BAD_REQUEST for a malformed form, or the signal's reason. */
export async function* formParts(req: IncomingMessage, signal: AbortSignal): AsyncGenerator<FormPart> {
  const parser = openParser(req);
  const pieces = new ParsedPieces();
  // A queue: busboy emits several fields in one go. Its length is bounded by the limits above.
  const parts = new PassThrough({ objectMode: true, highWaterMark: LIMITS.parts });
  const fail = (error: unknown) => parts.destroy(error instanceof VaultError ? error : malformed(error));
  parser.on("field", (name, value, { valueTruncated }) => {
    if (valueTruncated) fail(badRequest("A field of the form is too long.", knownName(name)));
    else parts.write({ kind: "field", name, value } satisfies FieldPart);
  });
  parser.on("file", (name, stream, { filename, mimeType }) => {
    stream.on("error", () => {}); // told by `bytes`, to whoever reads it
    const file: FilePart = {
      kind: "file",
      name,
      fileName: filename,
      mediaType: mimeType,
      bytes: bytesOf(stream, pieces),
    };
    parts.write(file);
  });
  for (const limit of ["fieldsLimit", "filesLimit", "partsLimit"] as const) {
    parser.on(limit, () => fail(badRequest("The form has too many parts.")));
  }
  parser.on("error", fail);
  parser.on("close", () => parts.end());
  parts.on("error", () => {}); // told by the loop below
  const onAbort = () => fail(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const onData = (piece: Uint8Array) => pieces.add(piece);
  req.on("data", onData).pipe(parser);
  try {
    signal.throwIfAborted();
    for await (const part of parts) yield part as FormPart;
  } finally {
    signal.removeEventListener("abort", onAbort);
    req.off("data", onData).unpipe(parser);
    parser.destroy();
  }
}

function openParser(req: IncomingMessage): busboy.Busboy {
  const type = req.headers["content-type"] ?? "";
  if (!/^multipart\/form-data\b/i.test(type)) {
    const reason = "Send multipart/form-data.";
    throw new VaultError("UNSUPPORTED_MEDIA_TYPE", "not a multipart form", { facts: { reason } });
  }
  try {
    return busboy({ headers: req.headers, defParamCharset: "utf8", limits: LIMITS });
  } catch {
    throw badRequest("The multipart boundary is missing or malformed.");
  }
}

function bytesOf(stream: Readable, pieces: ParsedPieces): Pieces {
  return new Pieces(stream, { broken: malformed, onPiece: bytes => pieces.reached(bytes) });
}

function malformed(cause: unknown): VaultError {
  const reason = "The form ends early or is malformed.";
  return new VaultError("BAD_REQUEST", reason, { cause, facts: { reason } });
}

/** Field names come from the client: only a harmless one is repeated to it. */
function knownName(name: string | undefined): string | undefined {
  return name !== undefined && /^\w{1,32}$/.test(name) ? name : undefined;
}
