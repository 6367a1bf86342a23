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
import { KEEP_EVERY_MS, whileKept } from "./while-kept.js";

/** Bounds the queries of one request; and 100 URLs go into the 16 KiB that Node allows for headers. */
const MAX_PARTS = 100;
/** A whole that has not grown for this long has lost who drove it, in milliseconds. */
const STALLED_MS = 10_000;
/** While it is driven, other replicas hear of that this often, in milliseconds, however long a chunk takes. */
const BEAT_MS = 3_000;

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

  /** {@link proceed}; null where it stopped for a reason that may pass. Throws what says that there never will be a whole. */
  async proceedOrStop(token: string, caller: Caller | null = null): Promise<StoredFile | null> {
    try {
      return await this.proceed(token, caller);
    } catch (error) {
      if (isGone(error)) throw error;
      this.log.warn("a concatenation stopped; a HEAD of it goes on", { reason: String(error) });
      return null;
    }
  }

  /** {@link proceed}, with nobody waiting. */
  proceedInBackground(token: string): void {
    this.proceedOrStop(token).catch(error => {
      this.log.warn("a concatenation has lost a part", { reason: String(error) });
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
    const keep = () => this.uploads.keep([token]);
    await keep();
    return whileKept(keep, BEAT_MS, async () => {
      if (!(await this.uploads.isWhole(upload))) await this.#gather(token, upload, caller);
      // The parts stay until they expire: a client whose answer was lost asks again with the same ones.
      return this.uploads.finish(token, {}, caller);
    });
  }

  /** Adds the parts' bytes, from where the whole stands on. */
  async #gather(token: string, upload: Upload, caller: Caller | null): Promise<void> {
    const { parts } = this.uploads.factsOf(token, upload);
    const { offset, length } = upload;
    const { signal, onReclaim } = untilReclaimed(this.#closing.signal);
    const read = (part: string, start: number) => this.uploads.read(part, start, signal, onReclaim);
    const source = bytesOf(await this.#find(parts, token, caller), offset, read);
    const announcedBytes = length === null ? undefined : length - offset;
    const options = { lastByte: "by-length", signal, announcedBytes } as const;
    const keep = () => this.uploads.keep(parts);
    await whileKept(keep, KEEP_EVERY_MS, () => this.uploads.append(token, offset, source, options));
  }

  /** Where a part is gone there never will be a whole, and what there is of it is dropped. */
  async #find(parts: readonly string[], whole: string, caller: Caller | null): Promise<readonly Part[]> {
    const found: Part[] = [];
    try {
      await this.uploads.keep(parts);
      for (const part of parts) found.push({ token: part, length: (await this.uploads.find(part)).offset });
    } catch (error) {
      if (isGone(error)) await this.uploads.abandon(whole, caller);
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

/** The parts' bytes, one after the other, from `start` of the whole on. */
async function* bytesOf(
  parts: readonly Part[],
  start: number,
  read: (token: string, start: number) => Promise<AsyncGenerator<Uint8Array>>,
): AsyncGenerator<Uint8Array> {
  let before = 0;
  for (const { token, length } of parts) {
    const from = Math.max(0, start - before);
    before += length;
    if (from >= length) continue;
    yield* await read(token, from);
  }
}

/** What is said of a part that has expired, or was dropped by its client. */
const GONE: readonly Code[] = ["UPLOAD_EXPIRED", "NOT_FOUND"];

function isGone(error: unknown): boolean {
  return error instanceof VaultError && GONE.includes(error.code);
}
