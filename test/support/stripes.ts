/** Stripes for tests of parity: the profiles, every way to lose shards, and bytes that no two shards share. */
import { createHash } from "node:crypto";

/** k+m by number of buckets, from two on (docs/format.md §12). */
export const DEFAULT_PROFILES: [dataChunks: number, parityChunks: number][] = [
  [1, 1],
  [1, 2],
  [2, 2],
  [3, 2],
  [4, 2],
];

/** Every way to take `size` of the numbers below `count`, in order. */
export function subsets(count: number, size: number): number[][] {
  if (size === 0) return [[]];
  if (size > count) return [];
  return [...subsets(count - 1, size), ...subsets(count - 1, size - 1).map(rest => [...rest, count - 1])];
}

/** `length` bytes that look random and are the same for the same seed. */
export function bytesOf(seed: string, length: number): Uint8Array {
  return new Uint8Array(
    createHash("shake256", { outputLength: Math.max(1, length) })
      .update(seed)
      .digest(),
  ).subarray(0, length);
}
