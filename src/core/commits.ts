/**
 * The commits of one append: chunks are stored in any order, and become durable in order, a few to a transaction. One
 * commit at a time, each a compare-and-swap on lease and offset.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { VaultError } from "./errors.js";
import type { ChunkRecord, Tail, Upload } from "./model.js";
import type { ChunkMap } from "./ports.js";

/** Alone, an append commits this long after the first chunk that it could commit; of several, each waits as many times as long. */
const TURN_MS = 200;
/** Where the database is slow, commits take no more than this part of an upload's time … */
const COMMIT_SHARE = 1 / 40;
/** … and are never further apart than this: what a killed process loses of bytes that it has not acknowledged. */
const MAX_COMMIT_DELAY_MS = 2_000;

/** A chunk whose object is stored but which no row names yet. */
export interface StoredChunk {
  /** Its own and, where it completes its stripe, those of the parity: a stripe is never committed without. */
  readonly records: readonly ChunkRecord[];
  readonly plainBytes: number;
}

/** How often the appends of one process commit before they end: the more there are, the rarer each. */
export class CommitPace {
  #appends = 0;

  begin(): void {
    this.#appends++;
  }

  end(): void {
    this.#appends--;
  }

  /** From the first chunk that a commit could have to the commit. */
  delayMs(lastCommitMs: number): number {
    return Math.min(Math.max(TURN_MS * this.#appends, lastCommitMs / COMMIT_SHARE), MAX_COMMIT_DELAY_MS);
  }
}

interface CommitsOptions {
  readonly pace: CommitPace;
  readonly chunkMap: ChunkMap;
  readonly upload: Upload;
  readonly firstChunkIndex: number;
  /** Plain bytes of every chunk but the last. */
  readonly chunkPlainBytes: number;
  readonly ttlSeconds: number;
  /** Told of a commit that failed in the background. */
  readonly onFailure: (error: unknown) => void;
  /** True: nothing is committed in the background, only by {@link Commits.commit}. */
  readonly isHeld: boolean;
}

export class Commits {
  #offset: number;
  #next: number;
  readonly #stored = new Map<number, StoredChunk>();
  #queue: Promise<void> = Promise.resolve();
  #isDue = false;
  #lastCommitMs = 0;
  /** Fires when nothing more will come, so that no commit waits for more. */
  readonly #closing = new AbortController();

  constructor(private readonly options: CommitsOptions) {
    this.#offset = options.upload.offset;
    this.#next = options.firstChunkIndex;
    options.pace.begin();
  }

  /** What is durable. */
  get offset(): number {
    return this.#offset;
  }

  /** Takes a stored chunk and sees to it that it is committed soon. */
  add(chunkIndex: number, chunk: StoredChunk): void {
    this.#stored.set(chunkIndex, chunk);
    if (this.options.isHeld || this.#isDue || !this.#stored.has(this.#next)) return;
    this.#isDue = true;
    const delayMs = this.options.pace.delayMs(this.#lastCommitMs);
    this.#queue = this.#queue
      .then(() => sleep(delayMs, undefined, { signal: this.#closing.signal }).catch(() => {}))
      .then(() => {
        this.#isDue = false;
        return this.commit(null);
      })
      .catch(this.options.onFailure);
  }

  /** Ends the waiting: resolves when no commit is due or under way. To be called once, when every chunk has been added. */
  async settle(): Promise<void> {
    this.options.pace.end();
    this.#closing.abort();
    await this.#queue;
  }

  /**
   * Makes durable what is stored without a gap and, with `end`, the tail after it or the length of the whole. Throws
   * UPLOAD_TAKEN_OVER when another writer holds the upload; then nothing was changed.
   */
  async commit(end: { tail: Tail | null; length: number | null } | null): Promise<void> {
    const { upload, chunkMap, chunkPlainBytes, ttlSeconds } = this.options;
    const batch = this.#contiguous();
    if (batch.length === 0 && !end) return;
    const tail = end?.tail ?? null;
    const chunksEnd = batch.reduce((sum, { plainBytes }) => sum + plainBytes, this.#next * chunkPlainBytes);
    const toOffset = batch.length > 0 || tail ? chunksEnd + (tail?.plainBytes ?? 0) : this.#offset;
    const began = performance.now();
    const isCommitted = await chunkMap.commit({
      uploadId: upload.id,
      lease: upload.lease,
      fromOffset: this.#offset,
      toOffset,
      chunks: batch.flatMap(({ records }) => records),
      tail,
      length: end?.length ?? null,
      ttlSeconds,
    });
    if (!isCommitted) {
      throw new VaultError("UPLOAD_TAKEN_OVER", `upload ${upload.id}: lease ${upload.lease} is over`);
    }
    this.#lastCommitMs = performance.now() - began;
    // Only now: after a failed commit the next one must not skip what this one did not write.
    for (let i = 0; i < batch.length; i++) this.#stored.delete(this.#next++);
    this.#offset = toOffset;
  }

  #contiguous(): StoredChunk[] {
    const batch: StoredChunk[] = [];
    for (
      let chunk = this.#stored.get(this.#next);
      chunk;
      chunk = this.#stored.get(this.#next + batch.length)
    ) {
      batch.push(chunk);
    }
    return batch;
  }
}
