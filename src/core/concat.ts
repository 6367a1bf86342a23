/**
 * One upload made of several (tus's concatenation). Each part was sealed on its own, under its own key, so the whole is
 * made by opening and sealing again, as a stream. The parts' tokens are among the whole's sealed facts: whoever holds
 * the whole's token, on any replica, can drive it on from where it stands.
 */
import { VaultError } from "./errors.js";
import type { Caller, StoredFile, Upload } from "./model.js";
import type { Log } from "./ports.js";
import type { BeginUpload, BegunUpload } from "./upload-inputs.js";
import type { Uploads } from "./uploads.js";

/** Bounds the queries of one request; and 100 URLs go into the 16 KiB that Node allows for headers. */
const MAX_PARTS = 100;
/** A whole that has not grown for this long has lost who drove it, in milliseconds. */
const STALLED_MS = 10_000;

export class Concatenations {
  /** Those that this process drives, by upload id. */
  readonly #underWay = new Map<string, Promise<StoredFile>>();
  readonly #closing = new AbortController();

  constructor(
    private readonly uploads: Uploads,
    private readonly log: Log,
  ) {}

  /**
   * Begins the whole; {@link proceed} then makes it. Throws BAD_REQUEST for parts that are none, UPLOAD_INCOMPLETE for
   * one whose bytes have not all come, and what {@link Uploads.begin} throws.
   */
  async begin(
    parts: readonly string[],
    input: Omit<BeginUpload, "length">,
    caller: Caller,
  ): Promise<BegunUpload> {
    if (parts.length === 0 || parts.length > MAX_PARTS) {
      const facts = { reason: `An upload may be made of 1 to ${MAX_PARTS} parts.` };
      throw new VaultError("BAD_REQUEST", `${parts.length} parts`, { facts });
    }
    let length = 0;
    for (const part of parts) length += await this.#partLength(part);
    return this.uploads.begin({ ...input, length, facts: { ...input.facts, parts } }, caller);
  }

  /** Makes the whole, or goes on with it; callers that come meanwhile wait for the same. Resolves with the file. */
  async proceed(token: string, caller: Caller | null = null): Promise<StoredFile> {
    const upload = await this.uploads.find(token);
    const driven = this.#underWay.get(upload.id);
    if (driven) return driven;
    const driving = this.#drive(token, upload, caller).finally(() => this.#underWay.delete(upload.id));
    this.#underWay.set(upload.id, driving);
    return driving;
  }

  /** {@link proceed}, with nobody waiting. */
  proceedInBackground(token: string): void {
    this.proceed(token).catch(error => {
      this.log.warn("a concatenation stopped; a HEAD of it goes on", { reason: String(error) });
    });
  }

  /** Goes on with a whole that nobody drives any more; leaves it to whoever does. */
  async proceedIfStalled(token: string, upload: Upload): Promise<void> {
    if (this.#underWay.has(upload.id) || (await this.uploads.idleMs(upload)) < STALLED_MS) return;
    this.proceedInBackground(token);
  }

  /** Stops those under way; they can be driven on later, here or elsewhere. */
  async close(): Promise<void> {
    this.#closing.abort(new VaultError("BUSY", "the server is stopping"));
    await Promise.allSettled(this.#underWay.values());
  }

  async #partLength(part: string): Promise<number> {
    const upload = await this.uploads.find(part);
    if (upload.stage !== "receiving" || this.uploads.factsOf(part, upload).uploadConcat !== "partial") {
      const facts = { reason: "Only partial uploads can be concatenated." };
      throw new VaultError("BAD_REQUEST", `upload ${upload.id} is not partial`, { facts });
    }
    await this.uploads.requireWhole(upload);
    return upload.offset;
  }

  async #drive(token: string, upload: Upload, caller: Caller | null): Promise<StoredFile> {
    const { parts } = this.uploads.factsOf(token, upload);
    const { signal } = this.#closing;
    const source = this.#bytes(parts, upload.offset, signal);
    const announcedBytes = upload.length === null ? undefined : upload.length - upload.offset;
    await this.uploads.append(token, upload.offset, source, {
      lastByte: "by-length",
      signal,
      announcedBytes,
    });
    // The parts stay until they expire: a client whose answer was lost asks again with the same ones.
    return this.uploads.finish(token, {}, caller);
  }

  /** The parts' bytes, one after the other, from `start` of the whole on. */
  async *#bytes(parts: readonly string[], start: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let before = 0;
    for (const part of parts) {
      const { offset: length } = await this.uploads.find(part);
      if (before + length > start) yield* await this.uploads.read(part, Math.max(0, start - before), signal);
      before += length;
    }
  }
}
