/**
 * The one append path. Bytes come in, whole chunks are sealed and scattered a few at a time while more arrive, and the
 * offset follows the contiguous prefix that is durable, in batches. Whatever ends the stream, what came before it is
 * kept: the rest that makes no whole chunk becomes the tail.
 *
 *     source → [ chunk buffer ] → seal ──→ scatter ─┐
 *                     │             └→ parity → scatter ─┼→ commit (stripes, offset)
 *                     └─ at the end: tail ───────────────┘
 *
 * The last data chunk of a stripe is committed together with the stripe's parity, so that a stripe below the offset is
 * complete, or the one that stands open.
 */
import { release } from "../format/bytes.js";
import { plainBytesPerChunk, segmentsPerChunk } from "../format/layout.js";
import { Abortable } from "./abortable.js";
import type { Limits } from "./append-limits.js";
import { checkLength } from "./append-limits.js";
import { bodyOfUpload } from "./body.js";
import type { Budget, Share } from "./budget.js";
import { chunkMemory } from "./chunk-memory.js";
import type { CommitPace } from "./commits.js";
import { Commits } from "./commits.js";
import type { ChunkRecord, Tail, Upload } from "./model.js";
import type { Random } from "./placement.js";
import type { ChunkMap } from "./ports.js";
import { tooSlowForMemory } from "./reclaim.js";
import type { PlainHash, SealedChunk } from "./sealing.js";
import { Scatter } from "./scatter.js";
import type { Span } from "./span.js";
import { spanOf } from "./span.js";
import type { PlainChunk, StripesDeps } from "./stripes.js";
import { Stripes } from "./stripes.js";
import { loadTail, storeTail } from "./tail.js";
import { isTakenOver } from "./upload-errors.js";

/** Bytes of one upload that may be on their way to the buckets at once, and how many chunks at most. */
const WINDOW_BYTES = 16 * 1024 * 1024;
const MAX_WINDOW_CHUNKS = 16;
/** While less than this part of the memory is free, each upload makes do with one chunk. */
const PLENTY = 7 / 8;
/** Memory of a chunk that took longer to store than this is not used again. */
const RECYCLE_WITHIN_MS = 5_000;

export interface AppendDeps extends StripesDeps {
  readonly chunkMap: ChunkMap;
  readonly budget: Budget;
  readonly pace: CommitPace;
  readonly random: Random;
  readonly uploadTtlSeconds: number;
  readonly maxUploadBytes: number;
}

export interface AppendRequest {
  /** Under the lease that this append has taken. */
  readonly upload: Upload;
  readonly dek: Uint8Array;
  /** Its pieces are the append's own: the memory of one that is all of its buffer is freed once its bytes are copied. */
  readonly source: AsyncIterable<Uint8Array>;
  /**
   * What says that the last byte has come: the declared length, or the source itself (a multipart part that was
   * closed by its boundary). Never the end of a plain request body: a dropped connection ends like a finished one.
   */
  readonly lastByte: "by-length" | "by-source";
  readonly signal?: AbortSignal | undefined;
  /**
   * Called when the source has ended well, before anything of it is committed; what it throws refuses every byte of this
   * append. Where it is given, an append is all or nothing, a source that breaks included.
   */
  readonly verify?: (() => void) | undefined;
  /** The upload's length, where an append that is all or nothing declares it. */
  readonly lateLength?: number | undefined;
  /** How many bytes the source has announced, where it has: so many objects are reserved, and nothing else goes by it. */
  readonly announcedBytes?: number | undefined;
  /** Is given the bytes of this append in order. */
  readonly plainHash?: PlainHash | undefined;
}

/** What a door says of an append. */
export type AppendOptions = Omit<AppendRequest, "upload" | "dek" | "source">;

/** Appends and returns the offset that is durable afterwards. Throws what ended the source, after keeping what came. */
export async function append(deps: AppendDeps, request: AppendRequest): Promise<number> {
  const { upload, dek, announcedBytes, verify } = request;
  const limits = { upload, maxUploadBytes: deps.maxUploadBytes, isHeld: verify !== undefined };
  if (limits.isHeld) checkLength(upload.offset + (announcedBytes ?? 0), limits);
  // The tail comes into the first buffer, whose memory it has before.
  const share = upload.tail ? await chunkMemory(deps.budget, upload.layout, request.signal) : undefined;
  try {
    const [tail, span] = await Promise.all([
      loadTail(deps, upload, dek),
      spanOf(deps.chunkMap, upload, announcedBytes),
    ]);
    return await new Writer(deps, request, limits, span, share).run(tail);
  } finally {
    share?.release(); // by now it has been, unless the writer never began
  }
}

class Writer {
  readonly #upload: Upload;
  readonly #chunkPlainBytes: number;
  readonly #stripes: Stripes;
  readonly #scatter: Scatter;
  readonly #commits: Commits;

  /** Bytes taken into buffers, durable or not. */
  #received: number;
  #buffer: Uint8Array | undefined;
  #filled = 0;
  #share: Share | undefined;
  #nextToSeal: number;
  readonly #underWay = new Set<Promise<void>>();
  /** Fires when going on is pointless: a chunk or a commit failed, or memory is wanted elsewhere. */
  readonly #stop = new AbortController();
  /** That, or the request is over. */
  readonly #signal: AbortSignal;
  #failure: unknown;

  constructor(
    private readonly deps: AppendDeps,
    private readonly request: AppendRequest,
    private readonly limits: Limits,
    span: Span,
    share: Share | undefined,
  ) {
    const { upload, dek, signal } = request;
    this.#signal = AbortSignal.any(signal ? [signal, this.#stop.signal] : [this.#stop.signal]);
    this.#share = share;
    const { firstChunkIndex, earlier } = span;
    this.#upload = upload;
    this.#chunkPlainBytes = plainBytesPerChunk(upload.layout);
    this.#nextToSeal = firstChunkIndex;
    this.#received = firstChunkIndex * this.#chunkPlainBytes; // the tail comes first, in run()
    const { message } = bodyOfUpload(upload, dek);
    this.#stripes = new Stripes(deps, upload, message, earlier);
    this.#scatter = new Scatter(deps.buckets, deps.chunkMap, upload, span, deps.random);
    this.#commits = new Commits({
      chunkMap: deps.chunkMap,
      pace: deps.pace,
      upload,
      firstChunkIndex,
      chunkPlainBytes: this.#chunkPlainBytes,
      ttlSeconds: deps.uploadTtlSeconds,
      onFailure: error => this.#fail(error),
      isHeld: request.verify !== undefined,
    });
  }

  /** `tail`: the bytes that come before those of the source. */
  async run(tail: Uint8Array): Promise<number> {
    let ending: unknown;
    try {
      await this.#fill(tail);
      await this.#consume();
      this.request.verify?.();
    } catch (error) {
      ending = error;
      if (this.request.verify || isTakenOver(error)) this.#fail(error);
    }
    try {
      await this.#close(this.#isComplete(ending));
    } catch (error) {
      ending ??= error;
    } finally {
      this.#share?.release();
      this.#stripes.release();
    }
    if (ending !== undefined) throw ending;
    return this.#commits.offset;
  }

  #isComplete(ending: unknown): boolean {
    const { length } = this.#upload;
    if (length !== null) return this.#received === length;
    return this.request.lastByte === "by-source" && ending === undefined;
  }

  async #consume(): Promise<void> {
    const iterator = this.request.source[Symbol.asyncIterator]();
    using steps = new Abortable(iterator, this.#signal);
    try {
      for (;;) {
        this.#share?.idle(() => this.#stop.abort(tooSlowForMemory()));
        const next = await steps.next();
        this.#share?.busy();
        if (next.done) return;
        checkLength(this.#received + next.value.length, this.limits);
        await this.#fill(next.value);
      }
    } finally {
      // Not awaited: a source that never yields again never returns either.
      void Promise.resolve(iterator.return?.()).catch(() => {});
    }
  }

  /** Copies `piece` into chunk buffers and seals those that are full and known not to be the last. */
  async #fill(piece: Uint8Array): Promise<void> {
    for (let from = 0; from < piece.length; ) {
      if (this.#filled === this.#chunkPlainBytes) await this.#seal(false);
      this.#buffer ??= await this.#newBuffer();
      const taken = piece.subarray(from, from + this.#chunkPlainBytes - this.#filled);
      this.#buffer.set(taken, this.#filled);
      this.#filled += taken.length;
      this.#received += taken.length; // only now: a byte that waits for memory may never be taken
      from += taken.length;
    }
    release(piece); // V8 runs a whole collection for each 64 MiB of what came from the network and is not freed
    const { length } = this.#upload;
    const isMoreDeclared = length !== null && this.#received < length;
    if (this.#filled === this.#chunkPlainBytes && isMoreDeclared) await this.#seal(false);
  }

  async #newBuffer(): Promise<Uint8Array> {
    this.#share ??= await chunkMemory(this.deps.budget, this.#upload.layout, this.#signal);
    return this.deps.sealer.buffer(this.#chunkPlainBytes);
  }

  #windowChunks(): number {
    const { free, total } = this.deps.budget;
    if (free < total * PLENTY) return 1;
    const chunks = Math.floor(WINDOW_BYTES / this.#upload.layout.chunkBytes);
    return Math.min(MAX_WINDOW_CHUNKS, Math.max(1, chunks));
  }

  /** Sends the buffered chunk on its way; waits only while the window is full. */
  async #seal(isLast: boolean): Promise<void> {
    while (this.#underWay.size >= this.#windowChunks()) await Promise.race(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure;
    const plain = (this.#buffer ?? new Uint8Array()).subarray(0, this.#filled);
    const share = this.#share;
    this.#buffer = this.#share = undefined;
    this.#filled = 0;
    const storing = this.#store(this.#nextToSeal++, plain, isLast)
      .catch(error => this.#fail(error))
      .finally(() => {
        share?.release();
        this.#underWay.delete(storing);
      });
    this.#underWay.add(storing);
  }

  async #store(chunkIndex: number, plain: Uint8Array, isLast: boolean): Promise<void> {
    const plainBytes = plain.length; // read before the sealer takes the buffer
    const position = chunkIndex * segmentsPerChunk(this.#upload.layout);
    const { plainHash } = this.request;
    const chunk = {
      chunkIndex,
      position,
      plain: plainHash ? await plainHash.update(plain) : plain,
      isLast,
    };
    const sealing = this.#stripes.seal(chunk);
    const data = sealing.then(sealed => this.#put(chunkIndex, this.#stripes.shardOf(chunkIndex), sealed));
    this.#stripes.storing(chunkIndex, data);
    const parity = this.#stripes.isClosing(chunk) ? this.#storeParity(chunk) : [];
    await Promise.allSettled([data, parity]); // one may have failed, but the memory of both is in use until then
    this.#commits.add(chunkIndex, { records: [await data, ...(await parity)], plainBytes });
  }

  async #storeParity(last: PlainChunk): Promise<ChunkRecord[]> {
    const { dataChunks } = this.#upload.parity;
    try {
      const parity = await this.#stripes.close(last);
      const puts = parity.map((sealed, j) => this.#put(last.chunkIndex, dataChunks + j, sealed));
      await Promise.allSettled(puts);
      return await Promise.all(puts);
    } finally {
      this.#stripes.closed(last.chunkIndex);
    }
  }

  /** Stores one chunk of the stripe that `chunkIndex` is of. */
  async #put(chunkIndex: number, shard: number, { bytes, digest }: SealedChunk): Promise<ChunkRecord> {
    const stripe = this.#stripes.stripeOf(chunkIndex);
    const storedBytes = bytes.length;
    const began = performance.now();
    const ref = await this.#scatter.store({ stripe, shard }, bytes);
    // An attempt that was given up at its deadline may still be reading these bytes; no deadline is this short.
    if (performance.now() - began < RECYCLE_WITHIN_MS) this.deps.sealer.recycle(bytes);
    return { ...ref, stripe, shard, storedBytes, digest };
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#stop.abort(error);
  }

  /** Ends the append: the last chunk if that is what the buffer holds, else the tail; then everything is committed. */
  async #close(isComplete: boolean): Promise<void> {
    let tail: Tail | null = null;
    try {
      if (isComplete) await this.#seal(true);
      else if (this.#failure === undefined) tail = await this.#keepTail();
    } catch (error) {
      this.#fail(error);
    }
    await Promise.all(this.#underWay);
    await this.#commits.settle();
    if (this.#failure !== undefined) {
      if (!this.request.verify) await this.#commits.commit(null); // what came before the failure
      throw this.#failure;
    }
    const ownLength = isComplete && this.#upload.length === null ? this.#received : null;
    const length = this.request.lateLength ?? ownLength;
    await this.#commits.commit(tail || length !== null ? { tail, length } : null);
  }

  /** Keeps what makes no whole chunk, unless nobody could go on from it: a gap before it, or a source that is gone. */
  async #keepTail(): Promise<Tail | null> {
    const isNew = this.#received > this.#upload.offset || this.request.lateLength !== undefined; // a commit replaces the old
    if (!this.#buffer || this.#filled === 0 || !isNew || this.request.lastByte === "by-source") return null;
    const start = this.#nextToSeal * this.#chunkPlainBytes;
    const deps = { scatter: this.#scatter, sealer: this.deps.sealer };
    return storeTail(deps, this.#upload, this.request.dek, start, this.#buffer.subarray(0, this.#filled));
  }
}
