/**
 * Where the bytes of a file lie: plaintext ↔ segments ↔ chunks, as pure arithmetic on exact sizes.
 *
 *     plaintext   | S−32 | S−32 | S−32 | S−32 | rest |         S  segmentBytes, at most 256 KiB
 *     segments    | S    | S    | S    | S    | 32+… |         C  chunkBytes = n·S
 *     chunks      | C           | C           | last |         one object each
 *
 * Quotients are exact: for a < 2^53, a / b is further from the next integer than the rounding error of the
 * division.
 */

import { assert, FormatError } from "./errors.js";

export const MIN_CHUNK_BYTES = 1024;
export const MAX_CHUNK_BYTES = 64 * 1024 * 1024;
export const DEFAULT_CHUNK_BYTES = 1024 * 1024;

/** What sealing adds to each segment: length word 4, IV 12, tag 16. */
export const SEGMENT_OVERHEAD_BYTES = 32;

/** FLOE's AEAD_MAX_SEGMENTS for AES-256-GCM. */
export const MAX_SEGMENTS = 2 ** 40;

const MAX_SEGMENT_BYTES = 256 * 1024;
const ROUND_TO_BYTES = 64 * 1024;

export interface Layout {
  /** C: stored bytes of every data object but the last. */
  readonly chunkBytes: number;
  /** S: stored bytes of every segment but the last. Divides C. */
  readonly segmentBytes: number;
}

/** Whether there is a layout for `bytes`. */
export function isChunkSize(bytes: number): boolean {
  return Number.isInteger(bytes) && bytes >= MIN_CHUNK_BYTES && bytes <= MAX_CHUNK_BYTES;
}

/**
 * The layout for a requested chunk size. Above 256 KiB a chunk becomes the fewest equal segments of 64 to
 * 256 KiB; when the size has no such divisor it is rounded down to a multiple of 64 KiB, which always has
 * one. Sizes it returns are fixed points.
 */
export function layoutFor(requestedChunkBytes: number): Layout {
  const requested = requestedChunkBytes;
  if (!isChunkSize(requested)) {
    throw new FormatError(`a chunk has ${MIN_CHUNK_BYTES} to ${MAX_CHUNK_BYTES} bytes, not ${requested}`);
  }
  if (requested <= MAX_SEGMENT_BYTES) return { chunkBytes: requested, segmentBytes: requested };
  for (let n = Math.ceil(requested / MAX_SEGMENT_BYTES); n <= requested / ROUND_TO_BYTES; n++) {
    if (requested % n === 0) return { chunkBytes: requested, segmentBytes: requested / n };
  }
  return layoutFor(requested - (requested % ROUND_TO_BYTES));
}

export function segmentsPerChunk(l: Layout): number {
  return l.chunkBytes / l.segmentBytes;
}

export function plainBytesPerSegment(l: Layout): number {
  return l.segmentBytes - SEGMENT_OVERHEAD_BYTES;
}

export function plainBytesPerChunk(l: Layout): number {
  return segmentsPerChunk(l) * plainBytesPerSegment(l);
}

/** Segments of a file of `plainBytes`: one for an empty file, and no empty last one for an exact multiple. */
export function segmentCount(l: Layout, plainBytes: number): number {
  if (!Number.isSafeInteger(plainBytes) || plainBytes < 0) {
    throw new FormatError(`${plainBytes} is not the size of a file`);
  }
  const count = Math.max(1, Math.ceil(plainBytes / plainBytesPerSegment(l)));
  const stored = plainBytes + count * SEGMENT_OVERHEAD_BYTES;
  if (count > MAX_SEGMENTS || !Number.isSafeInteger(stored)) {
    throw new FormatError(`a file of ${plainBytes} bytes is too large for segments of ${l.segmentBytes}`);
  }
  return count;
}

/** Data chunks of a file of `plainBytes`, at least 1. */
export function chunkCount(l: Layout, plainBytes: number): number {
  return Math.ceil(segmentCount(l, plainBytes) / segmentsPerChunk(l));
}

/** Stored bytes of the whole body: the sum over all data objects. The FLOE header is not among them. */
export function storedBytes(l: Layout, plainBytes: number): number {
  return plainBytes + segmentCount(l, plainBytes) * SEGMENT_OVERHEAD_BYTES;
}

/** Stored bytes of data object `chunkIndex`: C, or 32 … C for the last. */
export function storedBytesOfChunk(l: Layout, plainBytes: number, chunkIndex: number): number {
  const last = chunkCount(l, plainBytes) - 1;
  if (!Number.isInteger(chunkIndex) || chunkIndex < 0 || chunkIndex > last) {
    throw new FormatError(`a file of ${plainBytes} bytes has no chunk ${chunkIndex}`);
  }
  return chunkIndex < last ? l.chunkBytes : storedBytes(l, plainBytes) - last * l.chunkBytes;
}

/** The inverse of `storedBytes`; throws `FormatError` for a size that no file has. */
export function plainBytesOf(l: Layout, stored: number): number {
  const plainBytes = stored - Math.ceil(stored / l.segmentBytes) * SEGMENT_OVERHEAD_BYTES;
  if (!Number.isSafeInteger(plainBytes) || plainBytes < 0 || storedBytes(l, plainBytes) !== stored) {
    throw new FormatError(`no body has ${stored} bytes in segments of ${l.segmentBytes}`);
  }
  return plainBytes;
}

/** One read of stored bytes within one object, and what of its plaintext is wanted. */
export interface SegmentRead {
  readonly chunkIndex: number;
  /** Offsets within the object, both inclusive, as in an HTTP range. Fewer bytes than these are a damaged object. */
  readonly firstByte: number;
  readonly lastByte: number;
  /** The position in the file of the first segment read. */
  readonly position: number;
  /** Whether the read ends with the file's last segment. */
  readonly isLast: boolean;
  /** Plaintext bytes to drop in front, and then to take, once the segments are open. */
  readonly skipBytes: number;
  readonly takeBytes: number;
}

/**
 * The reads that bring plain bytes [start, end), in order: only the segments needed, at most
 * `maxReadBytes` stored bytes each (but always a whole segment). An empty range has no reads, except in an
 * empty file: its one segment must still be authenticated.
 */
export function* segmentReads(
  l: Layout,
  plainBytes: number,
  start: number,
  end: number,
  maxReadBytes: number,
): Generator<SegmentRead> {
  const lastPosition = segmentCount(l, plainBytes) - 1;
  assert(Number.isInteger(start) && Number.isInteger(end), "a range has whole bytes");
  assert(0 <= start && start <= end && end <= plainBytes, `no range ${start}…${end} in ${plainBytes} bytes`);
  if (start === end && plainBytes > 0) return;

  const perSegment = plainBytesPerSegment(l);
  const perChunk = segmentsPerChunk(l);
  const perRead = Math.max(1, Math.floor(maxReadBytes / l.segmentBytes));
  const stop = Math.max(1, Math.ceil(end / perSegment)); // the position after the last one needed
  for (let position = Math.floor(start / perSegment), next = 0; position < stop; position = next) {
    const chunkIndex = Math.floor(position / perChunk);
    const chunkPosition = chunkIndex * perChunk;
    next = Math.min(stop, chunkPosition + perChunk, position + perRead);
    const isLast = next > lastPosition;
    const from = Math.max(start, position * perSegment);
    yield {
      chunkIndex,
      firstByte: (position - chunkPosition) * l.segmentBytes,
      lastByte:
        (isLast ? storedBytesOfChunk(l, plainBytes, chunkIndex) : (next - chunkPosition) * l.segmentBytes) -
        1,
      position,
      isLast,
      skipBytes: from - position * perSegment,
      takeBytes: Math.min(end, next * perSegment) - from,
    };
  }
}
