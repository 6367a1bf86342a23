/**
 * The parity code: systematic Reed–Solomon over GF(2^8), so that of the k + m chunks of a stripe any k give back the
 * rest. Shard s of a stripe is Σ a(s, i) · data_i over the data chunks i, byte column by byte column, where
 *
 *     a(s, i) = 1 if s = i, else 0           for data, s < k: a data chunk is itself
 *     a(s, i) = 1/(s ⊕ i)                    for parity, k ≤ s < k + m
 *
 * which is a Cauchy matrix with x = s and y = i: all x and y differ, so each of its square parts can be inverted, and
 * with it whatever k rows are left. Nothing but s and i enters a coefficient, so a last stripe with fewer than k data
 * chunks is the same sum over those it has.
 */
import { FormatError } from "../errors.js";
import type { Layout } from "../layout.js";
import { chunkCount, storedBytesOfChunk } from "../layout.js";
import { inverse } from "./gf256.js";

/** `dataChunks` (k) and `parityChunks` (m) of a full stripe. */
export interface ParityProfile {
  readonly dataChunks: number;
  readonly parityChunks: number;
}

/** Shards are numbered by bytes. */
const MAX_SHARDS = 256;

/** Throws `FormatError` unless k is at least 1, m at least 0, and k + m at most 256. */
export function checkProfile({ dataChunks, parityChunks }: ParityProfile): void {
  const isWhole = Number.isInteger(dataChunks) && Number.isInteger(parityChunks);
  if (!isWhole || dataChunks < 1 || parityChunks < 0 || dataChunks + parityChunks > MAX_SHARDS) {
    throw new FormatError(`there is no parity code ${dataChunks}+${parityChunks}`);
  }
}

/** a(shard, i), where i is a data chunk of the stripe. */
export function coefficient({ dataChunks }: ParityProfile, shard: number, i: number): number {
  return shard < dataChunks ? Number(shard === i) : inverse(shard ^ i);
}

/** a(shard, i) for the first `count` data chunks i. */
export function coefficients(profile: ParityProfile, shard: number, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => coefficient(profile, shard, i));
}

/**
 * Stored bytes of each parity chunk of a stripe: as many as of its longest data chunk, which is its first. That is C,
 * but for a last stripe whose only data chunk is short.
 */
export function parityBytes(l: Layout, plainBytes: number, profile: ParityProfile, stripe: number): number {
  return storedBytesOfChunk(l, plainBytes, stripe * profile.dataChunks);
}

/** Stored bytes of each shard of a stripe, k + m numbers: 0 for the data chunks that the last stripe does not have. */
export function shardBytes(l: Layout, plainBytes: number, profile: ParityProfile, stripe: number): number[] {
  checkProfile(profile);
  const { dataChunks, parityChunks } = profile;
  const parity = parityBytes(l, plainBytes, profile, stripe);
  const count = chunkCount(l, plainBytes);
  return Array.from({ length: dataChunks + parityChunks }, (_, shard) => {
    if (shard >= dataChunks) return parity;
    const chunkIndex = stripe * dataChunks + shard;
    return chunkIndex < count ? storedBytesOfChunk(l, plainBytes, chunkIndex) : 0;
  });
}

/** How many data chunks a stripe of these sizes has: so many of its chunks give back any other. */
export function dataChunkCount({ dataChunks }: ParityProfile, stripeBytes: readonly number[]): number {
  return stripeBytes.slice(0, dataChunks).filter(stored => stored > 0).length;
}
