/**
 * The bytes that are sent: one random MiB over and over, so that any process can make and check them without reading a
 * disk. What is measured stores nothing twice and compresses nothing, so repetition makes it no faster.
 */
import { createHash } from "node:crypto";

const PIECE_BYTES = 1024 * 1024;
const piece = Buffer.concat(
  Array.from({ length: PIECE_BYTES / 32 }, (_, i) =>
    createHash("sha256").update(`scattervault ${i}`).digest(),
  ),
);

/** `bytes` bytes in pieces of 1 MiB; the pieces share memory. */
export function* pattern(bytes) {
  for (let left = bytes; left > 0; left -= PIECE_BYTES)
    yield left >= PIECE_BYTES ? piece : piece.subarray(0, left);
}

/** Whether `data` is what the pattern has at `offset`. */
export function matchesPattern(data, offset) {
  for (let at = 0; at < data.length; ) {
    const start = (offset + at) % PIECE_BYTES;
    const count = Math.min(data.length - at, PIECE_BYTES - start);
    if (piece.compare(data, at, at + count, start, start + count) !== 0) return false;
    at += count;
  }
  return true;
}
