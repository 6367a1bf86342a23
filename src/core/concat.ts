/**
 * One upload made of several (tus's concatenation). Each part was sealed on its own, under its own key, so the whole is
 * made by opening and sealing again, as a stream. The parts' tokens are among the whole's sealed facts: whoever holds
 * the whole's token, on any replica, can drive it on from where it stands.
 */
import type { FileId } from "../format/id.js";
import type { Code } from "./errors.js";
import { VaultError } from "./errors.js";
import type { Caller, StoredFile, Upload } from "./model.js";
import { OnceEach } from "./once-each.js";
import type { Log } from "./ports.js";
import { untilReclaimed } from "./reclaim.js";
import type { BeginUpload, BegunUpload } from "./upload-inputs.js";
import type { Uploads } from "./uploads.js";

/** Bounds the queries of one request; and 100 URLs go into the 16 KiB that Node allows for headers. */
const MAX_PARTS = 100;
/** A whole that has not grown for this long has lost who drove it, in milliseconds. */
const STALLED_MS = 10_000;
/** Parts live an hour at least (UPLOAD_TTL_HOURS), in milliseconds. */
const KEEP_EVERY_MS = 600_000;

export class Concatenations {
  /** Those that this process drives, by upload id. */
  readonly #underWay = new OnceEach<FileId, StoredFile>();
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
    await this.uploads.keep(parts);
    return this.uploads.begin({ ...input, length, facts: { ...input.facts, parts } }, caller);
  }

  /** Makes the whole, or goes on with it; callers that come meanwhile wait for the same. Resolves with the file. */
  async proceed(token: string, caller: Caller | null = null): Promise<StoredFile> {
    const upload = await this.uploads.find(token);
    return this.#underWay.run(upload.id, () => this.#drive(token, upload, caller));
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
    await this.#underWay.settled();
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
    if (!(await this.uploads.isWhole(upload))) await this.#gather(token, upload, caller);
    // The parts stay until they expire: a client whose answer was lost asks again with the same ones.
    return this.uploads.finish(token, {}, caller);
  }

  /** Adds the parts' bytes, from where the whole stands on. */
  async #gather(token: string, upload: Upload, caller: Caller | null): Promise<void> {
    const { parts } = this.uploads.factsOf(token, upload);
    const { offset, length } = upload;
    const { signal, onReclaim } = untilReclaimed(this.#closing.signal);
    const source = bytesOf(await this.#find(parts, token, caller), offset, {
      read: (part, start) => this.uploads.read(part, start, signal, onReclaim),
      keep: () => this.uploads.keep(parts),
    });
    const announcedBytes = length === null ? undefined : length - offset;
    await this.uploads.append(token, offset, source, { lastByte: "by-length", signal, announcedBytes });
  }

  /** Where a part is gone there never will be a whole, and what there is of it is dropped. */
  async #find(parts: readonly string[], whole: string, caller: Caller | null): Promise<readonly Part[]> {
    const found: Part[] = [];
    try {
      await this.uploads.keep(parts);
      for (const part of parts) found.push({ token: part, length: (await this.uploads.find(part)).offset });
    } catch (error) {
      if (error instanceof VaultError && GONE.includes(error.code)) await this.uploads.abandon(whole, caller);
      throw error;
    }
    return found;
  }
}

interface Part {
  readonly token: string;
  /** Plain bytes. */
  readonly length: number;
}

interface Reading {
  read(token: string, start: number): Promise<AsyncGenerator<Uint8Array>>;
  /** Is called now and then, so that no part expires before it is read. */
  keep(): Promise<void>;
}

/** The parts' bytes, one after the other, from `start` of the whole on. */
async function* bytesOf(
  parts: readonly Part[],
  start: number,
  { read, keep }: Reading,
): AsyncGenerator<Uint8Array> {
  let before = 0;
  let keptAt = performance.now();
  for (const { token, length } of parts) {
    const from = Math.max(0, start - before);
    before += length;
    if (from >= length) continue;
    for await (const piece of await read(token, from)) {
      yield piece;
      if (performance.now() - keptAt < KEEP_EVERY_MS) continue;
      keptAt = performance.now();
      await keep();
    }
  }
}

/** What is said of a part that has expired, or was dropped by its client. */
const GONE: readonly Code[] = ["UPLOAD_EXPIRED", "NOT_FOUND"];
