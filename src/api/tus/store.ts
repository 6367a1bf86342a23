/**
 * The store that @tus/server works on: our uploads. Every method of the base class is overridden, since those there
 * pretend to succeed. An upload's id is its token.
 */
import type { IncomingMessage } from "node:http";
import { DataStore, Upload as TusUpload } from "@tus/utils";
import { VaultError } from "../../core/errors.js";
import type { Uploads } from "../../core/uploads.js";
import { signalOf } from "../limits.js";
import { Pieces } from "../pieces.js";
import { tusContext, uploadSeen } from "./context.js";
import type { Leaving } from "./leaving.js";

export const EXTENSIONS = [
  "creation",
  "creation-with-upload",
  "creation-defer-length",
  "expiration",
  "termination",
  "checksum",
  "concatenation",
];

export class TusStore extends DataStore {
  override extensions = EXTENSIONS;

  constructor(
    private readonly uploads: Uploads,
    private readonly leaving: Leaving,
  ) {
    super();
  }

  /** Also under the name that @tus/server 2.4 misspells. */
  override hasExtension(extension: string): boolean {
    return this.extensions.includes(extension === "concatentation" ? "concatenation" : extension);
  }

  /** The upload was begun when it got its id (creation.ts). */
  override async create(upload: TusUpload): Promise<TusUpload> {
    return upload;
  }

  override async getUpload(token: string): Promise<TusUpload> {
    const { offset, length } = await uploadSeen(tusContext(), this.uploads, token);
    return new TusUpload({ id: token, offset, ...(length !== null && { size: length }) });
  }

  /** Appends what the request brings (@tus/server was shown none of it, see routes.ts), and returns the offset that is durable. */
  override async write(_none: unknown, token: string, offset: number): Promise<number> {
    const context = tusContext();
    const { checksum, signal, req, res } = context;
    const upload = await uploadSeen(context, this.uploads, token);
    const body = bodyOf(req);
    const source = checksum ? checksum.hashing(body) : body;
    if (offset === upload.offset && offset === upload.length) {
      await requireNothing(source, offset);
      if (upload.stage === "finished") return offset; // sent again
    }
    const verify = checksum ? { verify: () => checksum.verify(), lateLength: context.lateLength } : {};
    const appending = this.uploads.append(token, offset, source, {
      lastByte: "by-length",
      signal,
      seen: upload,
      announcedBytes: announcedBytes(req),
      ...verify,
    });
    this.leaving.watch(token, signalOf(res), appending);
    const reached = await appending;
    if (reached !== upload.length)
      res.setHeader("Upload-Expires", expiresHeader(await this.uploads.find(token)));
    return reached;
  }

  override async declareUploadLength(token: string, length: number): Promise<void> {
    const context = tusContext();
    const { offset } = await uploadSeen(context, this.uploads, token);
    if (offset + (announcedBytes(context.req) ?? 0) > length) throw beyond(length);
    if (context.checksum && offset < length) {
      context.lateLength = length; // on a mismatch "the upload and its offset MUST NOT be updated"
      return;
    }
    await this.uploads.declareLength(token, length, context.signal);
    context.upload = null; // it has a length now
  }

  /** Throws NOT_FOUND for one that is gone already. A file that came of it goes only by its password. */
  override async remove(token: string): Promise<void> {
    await this.uploads.find(token);
    await this.uploads.abandon(token, tusContext().caller);
  }

  /** The sweep does that. */
  override async deleteExpired(): Promise<number> {
    throw new Error("uploads expire by the sweep");
  }

  /** None that @tus/server should see: it would measure by this process's clock. See {@link expiresHeader}. */
  override getExpiration(): number {
    return 0;
  }
}

/**
 * The body as it comes. One that breaks off ends like one that is whole: what has come is kept either way, and the last byte is
 * known by the declared length. Whoever stops early leaves the request as it is, to be answered.
 */
function bodyOf(req: IncomingMessage): Pieces {
  return new Pieces(req, { broken: () => undefined, staysOpen: true });
}

/** Throws LENGTH_EXCEEDED for a body where none can follow. */
async function requireNothing(source: AsyncIterable<Uint8Array>, max: number): Promise<void> {
  for await (const { length } of source) {
    if (length > 0) throw beyond(max);
  }
}

function beyond(max: number): VaultError {
  return new VaultError("LENGTH_EXCEEDED", "bytes after the end", { facts: { max } });
}

/** Undefined where the body comes in pieces without a length. */
function announcedBytes({ headers }: IncomingMessage): number | undefined {
  const length = headers["content-length"]; // digits, or Node's parser had refused the request
  return length === undefined ? undefined : Number(length);
}

/** `Upload-Expires`, by the database's clock, in the form of RFC 9110 §5.6.7. */
export function expiresHeader({ expiresAt }: { readonly expiresAt: Date }): string {
  return expiresAt.toUTCString();
}
