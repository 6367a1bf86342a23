/**
 * Getting plain bytes back: only the segments a range needs, a few reads ahead of the consumer, each opened before a
 * byte of it is given out. Pull-based: a consumer that stops pulling stops the reading, and holds one read of memory.
 */
import { FormatError } from "../format/errors.js";
import type { SegmentRead } from "../format/layout.js";
import { segmentReads } from "../format/layout.js";
import type { Body } from "./body.js";
import type { Budget, Share } from "./budget.js";
import { ChunkRows } from "./chunk-rows.js";
import { DamageNotes } from "./damage-notes.js";
import { BucketError, VaultError } from "./errors.js";
import type { OpenReadDeps, Reading } from "./open-read.js";
import { openRead } from "./open-read.js";
import type { ChunkMap, Log } from "./ports.js";

/** Stored bytes of one read at most (a larger segment is read whole). */
const MAX_READ_BYTES = 1024 * 1024;
/** Reads under way ahead of the consumer, while memory is plentiful. */
const READ_AHEAD = 4;
/** Memory that one reader holds at most: each read is there sealed and plain. */
export const READING_BYTES = 2 * READ_AHEAD * MAX_READ_BYTES;

/** What a recovery without a database has too (recovery.ts). */
export interface GatherDeps extends OpenReadDeps {
  readonly chunkMap: Pick<ChunkMap, "chunks">;
  readonly budget: Budget;
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
  const notes = new DamageNotes(deps, body.fileId);
  const reading = { body, rows: new ChunkRows(deps.chunkMap, body), notes };
  const reads = segmentReads(body.layout, body.plainBytes, range.start, range.end, MAX_READ_BYTES);
  const ahead: Promise<Piece>[] = [];
  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal]);
  const begin = (read: SegmentRead, share: Share) => {
    const piece = readPiece(deps, reading, read, share, until);
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
    await notes.settle();
  }
}

/** The read the consumer waits for waits for memory; those ahead of it are made only while half of it is free, and nobody waits. */
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
  reading: Reading,
  read: SegmentRead,
  share: Share,
  signal: AbortSignal,
): Promise<Piece> {
  try {
    const opened = await openRead(deps, reading, read, signal);
    return { opened, plain: opened.subarray(read.skipBytes, read.skipBytes + read.takeBytes), share };
  } catch (error) {
    share.release();
    signal.throwIfAborted();
    const isOfTheFile = [FormatError, BucketError, VaultError].some(known => error instanceof known);
    throw isOfTheFile ? unavailable(deps.log, reading.body, read, error) : error; // the database is away, or a bug
  }
}

function unavailable(log: Log, body: Body, read: SegmentRead, cause: unknown): VaultError {
  const what = cause instanceof FormatError ? "is not authentic" : "cannot be read";
  const message = `file ${body.fileId}: chunk ${read.chunkIndex} ${what}`;
  log.error(message, { fileId: body.fileId, chunkIndex: read.chunkIndex, reason: String(cause) });
  return cause instanceof VaultError ? cause : new VaultError("FILE_UNAVAILABLE", message, { cause });
}
