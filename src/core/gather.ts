/**
 * Getting plain bytes back: only the segments a range needs, a few reads ahead of the consumer, each opened before a
 * byte of it is given out. Pull-based: a consumer that stops pulling stops the reading, and holds one read of memory.
 */
import { FormatError } from "../format/errors.js";
import type { SegmentRead } from "../format/layout.js";
import { segmentReads } from "../format/layout.js";
import type { Body } from "./body.js";
import type { Budget, Share } from "./budget.js";
import type { BucketSet } from "./bucket-set.js";
import { BucketError, VaultError } from "./errors.js";
import type { ChunkRecord } from "./model.js";
import type { ChunkMap, Log, Sealer } from "./ports.js";

/** Stored bytes of one read at most (a larger segment is read whole). */
const MAX_READ_BYTES = 1024 * 1024;
/** Reads under way ahead of the consumer, while memory is plentiful. */
const READ_AHEAD = 4;
/** Stripes whose chunk rows are fetched at once: bounds memory and queries for a file of any size. */
const STRIPES_PER_PAGE = 64;

/** What a recovery without a database has too (recovery.ts). */
export interface GatherDeps {
  readonly buckets: Pick<BucketSet, "port">;
  readonly chunkMap: Pick<ChunkMap, "chunks">;
  readonly sealer: Sealer;
  readonly budget: Budget;
  readonly log: Log;
}

interface Piece {
  /** All that was opened; its memory is given back whole. */
  readonly opened: Uint8Array;
  readonly plain: Uint8Array;
  readonly share: Share;
}

/**
 * Plain bytes `start` … `end` (exclusive) of a body. Throws FILE_UNAVAILABLE at the first byte that cannot be read or
 * authenticated; everything yielded before is right. What is yielded is lent: its memory is used again once the next
 * piece is asked for. When memory is wanted by others and the consumer has not
 * pulled for a while, throws SLOW_CLIENT through `onReclaim`.
 */
export async function* gather(
  deps: GatherDeps,
  body: Body,
  range: { start: number; end: number },
  signal: AbortSignal,
  onReclaim: () => void,
): AsyncGenerator<Uint8Array, void> {
  const rows = new ChunkRows(deps.chunkMap, body);
  const reads = segmentReads(body.layout, body.plainBytes, range.start, range.end, MAX_READ_BYTES);
  const ahead: Promise<Piece>[] = [];
  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal]);
  const begin = (read: SegmentRead, share: Share) => {
    const piece = readPiece(deps, body, rows, read, share, until);
    piece.catch(() => {}); // may reject before its turn comes, or after the consumer has gone
    ahead.push(piece);
  };
  try {
    let next = reads.next();
    for (;;) {
      while (!next.done && ahead.length < READ_AHEAD) {
        const bytes = 2 * (next.value.lastByte - next.value.firstByte + 1); // sealed and plain
        const share = await shareFor(deps.budget, bytes, ahead.length, until);
        if (!share) break;
        begin(next.value, share);
        next = reads.next();
      }
      const first = ahead.shift();
      if (!first) return;
      const { opened, plain, share } = await first;
      share.idle(onReclaim);
      try {
        yield plain;
      } finally {
        share.release();
      }
      deps.sealer.recycle(opened); // not where the consumer left early: it may still be reading
    }
  } finally {
    stop.abort();
    for (const piece of await Promise.allSettled(ahead))
      if (piece.status === "fulfilled") piece.value.share.release();
  }
}

/** The read the consumer waits for waits for memory; those ahead of it are made only while half of it is free. */
async function shareFor(
  budget: Budget,
  bytes: number,
  ahead: number,
  signal: AbortSignal,
): Promise<Share | null> {
  if (ahead === 0) return budget.acquire(bytes, signal);
  return budget.free > budget.total / 2 ? budget.tryAcquire(bytes) : null;
}

async function readPiece(
  deps: GatherDeps,
  body: Body,
  rows: ChunkRows,
  read: SegmentRead,
  share: Share,
  signal: AbortSignal,
): Promise<Piece> {
  try {
    const stored = await fetchWhereItLies(deps, rows, read, signal);
    const opened = await deps.sealer.open(body.message, read.position, stored, read.isLast);
    return { opened, plain: opened.subarray(read.skipBytes, read.skipBytes + read.takeBytes), share };
  } catch (error) {
    share.release();
    signal.throwIfAborted();
    const isOfTheFile = [FormatError, BucketError, VaultError].some(known => error instanceof known);
    throw isOfTheFile ? unavailable(deps.log, body, read, error) : error; // the database is away, or a bug
  }
}

/**
 * A chunk may be moved to another bucket after its row was read (core/relocate.ts). So where its object cannot be had, the
 * row is read again, and what it says now decides: once, for a second move takes longer than one read.
 */
async function fetchWhereItLies(
  deps: GatherDeps,
  rows: ChunkRows,
  read: SegmentRead,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const row = await rows.of(read.chunkIndex);
  try {
    return await fetchSegments(deps, row, read, signal);
  } catch (error) {
    signal.throwIfAborted();
    const now = await rows.again(read.chunkIndex);
    if (now.objectKey === row.objectKey) throw error; // a key is never used twice: it has not moved
    return fetchSegments(deps, now, read, signal);
  }
}

async function fetchSegments(
  deps: GatherDeps,
  row: ChunkRecord,
  read: SegmentRead,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const isWhole = read.firstByte === 0 && read.lastByte === row.storedBytes - 1;
  const range = isWhole ? undefined : { first: read.firstByte, last: read.lastByte };
  const stored = await deps.buckets.port(row.bucketId).get(row.objectKey, range, signal);
  if (!stored) throw new BucketError("unavailable", `object ${row.objectKey} is missing`);
  // Segments authenticate what they hold and where they are, not how many were asked for: an object cut at a segment's
  // border would otherwise leave a gap in the middle of the file (docs/format.md §9).
  const wanted = read.lastByte - read.firstByte + 1;
  if (stored.length !== wanted)
    throw new FormatError(`${stored.length} bytes of ${wanted}: the object was cut`);
  return stored;
}

function unavailable(log: Log, body: Body, read: SegmentRead, cause: unknown): VaultError {
  const what = cause instanceof FormatError ? "is not authentic" : "cannot be read";
  const message = `file ${body.fileId}: chunk ${read.chunkIndex} ${what}`;
  log.error(message, { fileId: body.fileId, chunkIndex: read.chunkIndex, reason: String(cause) });
  return cause instanceof VaultError ? cause : new VaultError("FILE_UNAVAILABLE", message, { cause });
}

/** The chunk rows of one body, a page at a time, in the order in which a gather asks. */
class ChunkRows {
  #page: Promise<Map<number, ChunkRecord>> = Promise.resolve(new Map());
  #firstStripe = -STRIPES_PER_PAGE;

  constructor(
    private readonly chunkMap: Pick<ChunkMap, "chunks">,
    private readonly body: Body,
  ) {}

  async of(chunkIndex: number): Promise<ChunkRecord> {
    const stripe = this.#stripeOf(chunkIndex);
    if (stripe >= this.#firstStripe + STRIPES_PER_PAGE || stripe < this.#firstStripe) this.#turnTo(stripe);
    return this.#find(chunkIndex);
  }

  /** The row as it is now, and with it those that come after it: what moved one chunk may have moved them all. */
  again(chunkIndex: number): Promise<ChunkRecord> {
    this.#turnTo(this.#stripeOf(chunkIndex));
    return this.#find(chunkIndex);
  }

  #stripeOf(chunkIndex: number): number {
    return Math.floor(chunkIndex / this.body.parity.dataChunks);
  }

  #turnTo(stripe: number): void {
    this.#firstStripe = stripe;
    this.#page = this.#fetch(stripe);
  }

  async #find(chunkIndex: number): Promise<ChunkRecord> {
    const row = (await this.#page).get(chunkIndex);
    if (!row)
      throw new VaultError("FILE_UNAVAILABLE", `file ${this.body.fileId}: chunk ${chunkIndex} has no row`);
    return row;
  }

  async #fetch(stripe: number): Promise<Map<number, ChunkRecord>> {
    const { fileId, parity } = this.body;
    const rows = await this.chunkMap.chunks(fileId, stripe, stripe + STRIPES_PER_PAGE - 1);
    const data = rows.filter(row => row.shard < parity.dataChunks);
    return new Map(data.map(row => [row.stripe * parity.dataChunks + row.shard, row]));
  }
}
