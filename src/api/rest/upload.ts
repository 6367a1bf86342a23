/**
 * `POST /api/upload`: file, password, chunk_size, expires_in, max_downloads as a multipart form, in any order. What is
 * known before the file is checked before a byte of it is stored; what comes after it is applied at the end.
 */
import type { IncomingMessage } from "node:http";
import type { Request, RequestHandler, Response } from "express";
import type { z } from "zod";
import { VaultError } from "../../core/errors.js";
import type { Caller, FileTerms, StoredFile } from "../../core/model.js";
import type { Uploads } from "../../core/uploads.js";
import { Arrival } from "../arrival.js";
import { callerOf } from "../caller.js";
import type { ApiDeps } from "../deps.js";
import { badRequest } from "../errors.js";
import { signalOf } from "../limits.js";
import type { FieldPart, FilePart } from "./form.js";
import { formParts } from "./form.js";
import { track } from "../under-way.js";
import { uploadFields } from "./parameters.js";

type Fields = ReturnType<typeof uploadFields>;
type FieldName = keyof Fields["shape"];

/** What a form may have beside the file's bytes: boundaries, part headers, fields. */
const MAX_FORM_OVERHEAD_BYTES = 256 * 1024;

export function upload(deps: ApiDeps): RequestHandler {
  return (req, res) => track(deps, takeForm(deps, req, res));
}

async function takeForm(deps: ApiDeps, req: Request, res: Response): Promise<void> {
  const caller = await callerOf(req, deps);
  checkDeclaredLength(req, deps.settings.maxUploadBytes);
  const signal = signalOf(res);
  const form = new UploadForm(deps.uploads, uploadFields(deps.settings), caller, signal);
  try {
    for await (const part of formParts(req, signal)) {
      if (part.kind === "field") form.takeField(part);
      else await form.takeFile(part);
    }
    const { hash } = await form.finish();
    res.status(201).json({ status: "success", hash });
  } catch (error) {
    await form
      .abandon()
      .catch(cause => req.log.warn({ cause: String(cause) }, "an upload was left to the sweep"));
    throw error;
  }
}

/** The parts of one form, as they come. */
class UploadForm {
  readonly #fields = new Map<FieldName, string>();
  #arrival: Arrival | undefined;
  /** Whether the password was there when the file began, and is wrapped already. */
  #hasPassword = false;

  constructor(
    private readonly uploads: Uploads,
    private readonly known: Fields,
    private readonly caller: Caller,
    private readonly signal: AbortSignal,
  ) {}

  takeField({ name, value }: FieldPart): void {
    if (name === "file")
      throw new VaultError("MISSING_FILE", "a file part without a file name", { field: "file" });
    const names = this.known.keyof().options;
    const field = names.find(known => known === name);
    if (!field) throw badRequest(`The form may have the parts file, ${names.join(", ")} and no other.`);
    if (this.#fields.has(field)) throw badRequest(`The form has more than one ${field}.`, field);
    this.#fields.set(field, value);
    if (field === "chunk_size") this.uploads.checkLayout(this.#chunkBytes);
  }

  async takeFile({ name, fileName, mediaType, bytes }: FilePart): Promise<void> {
    if (name !== "file") throw badRequest("The file must be the part named file.");
    if (this.#arrival) throw badRequest("The form has more than one file: send one form each.", "file");
    if (!fileName) throw new VaultError("MISSING_FILE", "a file part without a file name", { field: "file" });
    const password = this.#password;
    this.#hasPassword = password !== null;
    const input = { name: fileName, mediaType, password, chunkBytes: this.#chunkBytes, terms: this.#terms };
    this.#arrival = await Arrival.begin(this.uploads, input, this.caller);
    await this.#arrival.take(bytes, this.signal);
  }

  /** Once the form has come to its end. */
  async finish(): Promise<StoredFile> {
    if (!this.#arrival) throw new VaultError("MISSING_FILE", "a form without a file", { field: "file" });
    const password = this.#password;
    if (password === null) {
      throw new VaultError("MISSING_PASSWORD", "a form without a password", { field: "password" });
    }
    this.uploads.check({ password, terms: this.#terms });
    const chunkBytes = this.#chunkBytes;
    if (chunkBytes !== null) await this.#arrival.recut(chunkBytes, this.signal);
    this.signal.throwIfAborted();
    return this.#arrival.finish({ terms: this.#terms, ...(!this.#hasPassword && { password }) });
  }

  async abandon(): Promise<void> {
    await this.#arrival?.abandon();
  }

  get #password(): string | null {
    return this.#read("password");
  }

  get #chunkBytes(): number | null {
    return this.#read("chunk_size");
  }

  get #terms(): FileTerms {
    return { expiresInSeconds: this.#read("expires_in"), maxDownloads: this.#read("max_downloads") };
  }

  /** Null where it was not sent. */
  #read<N extends FieldName>(name: N): NonNullable<z.output<Fields>[N]> | null {
    const text = this.#fields.get(name);
    return text === undefined
      ? null
      : (this.known.shape[name].parse(text) as NonNullable<z.output<Fields>[N]> | null);
  }
}

/** A body that says it is too long is refused before it is read. */
function checkDeclaredLength(req: IncomingMessage, max: number): void {
  const declared = Number(req.headers["content-length"] ?? 0);
  if (declared <= max + MAX_FORM_OVERHEAD_BYTES) return;
  throw new VaultError("FILE_TOO_LARGE", `${declared} bytes declared`, { field: "file", facts: { max } });
}
