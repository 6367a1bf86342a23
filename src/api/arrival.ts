/**
 * A file that comes whole in one request, at whichever door: begun, taken in, made a file; or abandoned, so that
 * nothing is left but what the sweep clears.
 */
import { VaultError } from "../core/errors.js";
import type { Caller, StoredFile } from "../core/model.js";
import { recut } from "../core/recut.js";
import type { BeginUpload, BegunUpload, LateFacts } from "../core/upload-inputs.js";
import type { Uploads } from "../core/uploads.js";

export class Arrival {
  #token: string;
  #sha256: string | undefined;

  private constructor(
    private readonly uploads: Uploads,
    private readonly caller: Caller,
    private readonly begun: BegunUpload,
  ) {
    this.#token = begun.token;
  }

  /** Throws what {@link Uploads.begin} throws, before anything is stored. */
  static async begin(uploads: Uploads, input: Omit<BeginUpload, "length">, caller: Caller): Promise<Arrival> {
    return new Arrival(uploads, caller, await uploads.begin({ ...input, length: null }, caller));
  }

  /** Of the plain bytes; known once they are all here. */
  get sha256(): string {
    if (this.#sha256 === undefined) throw new VaultError("UPLOAD_INCOMPLETE", "the bytes have not all come");
    return this.#sha256;
  }

  /** Stores all of `source`, whose end is the end of the file: it must throw where it is cut short. */
  async take(source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const plainHash = this.uploads.plainHash();
    try {
      const seen = this.begun.upload;
      await this.uploads.append(this.#token, 0, source, { lastByte: "by-source", signal, plainHash, seen });
    } catch (error) {
      plainHash.release();
      throw error;
    }
    this.#sha256 = Buffer.from(await plainHash.digest()).toString("hex");
  }

  /** Cuts what is stored anew, if it was cut otherwise. */
  async recut(chunkBytes: number, signal: AbortSignal): Promise<void> {
    this.#token = await recut(this.uploads, { token: this.#token, chunkBytes }, this.caller, signal);
  }

  finish(late: Omit<LateFacts, "sha256">): Promise<StoredFile> {
    return this.uploads.finish(this.#token, { ...late, sha256: this.sha256 }, this.caller);
  }

  abandon(): Promise<void> {
    return this.uploads.abandon(this.#token, this.caller);
  }
}
