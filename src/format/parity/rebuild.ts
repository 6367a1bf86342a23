/** Chunks of a stripe that are gone ← any k of those that are left, whole or only some byte columns of them. */
import { allocate } from "../bytes.js";
import { assert, FormatError } from "../errors.js";
import type { ParityProfile } from "./code.js";
import { checkProfile, coefficients } from "./code.js";
import { kernel } from "./kernel.js";
import { inverseOf, timesMatrix } from "./matrix.js";

/** What is known of a stripe, and what could be read of it. */
export interface StripeRead {
  readonly profile: ParityProfile;
  /** Stored bytes of each shard, 0 for data chunks that the last stripe does not have (`shardBytes` of code.ts). */
  readonly shardBytes: readonly number[];
  /** By shard. Of each exactly the bytes [start, end), or as much of them as the shard is long. */
  readonly present: ReadonlyMap<number, Uint8Array>;
}

/** Byte columns [start, end) of a stripe: the same offsets in each of its shards. */
export interface Columns {
  readonly start: number;
  readonly end: number;
}

/**
 * The bytes [start, end) of each shard of `missing`, or as much of them as the shard is long, in that order. Without
 * `columns`, whole shards. A byte needs only the bytes at its own offset: a ranged read rebuilds just its range.
 *
 * Throws `FormatError` when fewer than k shards are there, or the bytes of one are more or fewer than they must be.
 * Wrong bytes of the right length give wrong bytes: the caller checks a whole chunk by its digest, segments by opening
 * them.
 */
export function rebuild(
  { profile, shardBytes, present }: StripeRead,
  missing: readonly number[],
  columns?: Columns,
): Uint8Array<ArrayBuffer>[] {
  checkProfile(profile);
  const { dataChunks, parityChunks } = profile;
  assert(shardBytes.length === dataChunks + parityChunks, "a stripe has k + m shards");
  const { start, end } = columns ?? { start: 0, end: Math.max(...shardBytes) };
  assert(Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end, "no such columns");
  const bytesOf = (shard: number) => {
    const stored = shardBytes[shard];
    assert(stored !== undefined, `no shard ${shard} in a stripe of ${shardBytes.length}`);
    return Math.max(0, Math.min(end, stored) - start);
  };
  for (const [shard, bytes] of present) {
    if (bytes.length === bytesOf(shard)) continue;
    throw new FormatError(`${bytes.length} bytes of shard ${shard} and not ${bytesOf(shard)}`);
  }

  // Chunks that a last stripe does not have are zeros, and all of them come last: leaving out their columns leaves the
  // sums as they are, and so does leaving out the rows that say that they are themselves.
  const data = shardBytes.slice(0, dataChunks);
  const columnCount = data.filter(stored => stored > 0).length;
  assert(data.lastIndexOf(0, columnCount - 1) < 0, "only the last data chunks of a stripe may be none");
  const inputs = [...present].filter(([shard]) => shardBytes[shard] !== 0).sort(([a], [b]) => a - b);
  if (inputs.length < columnCount) {
    throw new FormatError(`${inputs.length} shards of a stripe that needs ${columnCount}`);
  }
  // The least shards: data before parity, since rows of the unit matrix make the inverse sparse.
  const used = inputs.slice(0, columnCount);
  const rowOf = (shard: number) => coefficients(profile, shard, columnCount);
  const toData = inverseOf(used.map(([shard]) => rowOf(shard)));
  assert(toData !== null, "any k rows of the code have an inverse");

  const rebuilt = missing.map(shard => allocate(bytesOf(shard)));
  // The inverse leads from the shards used to the data, the missing shard's row from the data to it. It takes
  // microseconds for the profiles we use, so nothing is kept from one call to the next.
  kernel().multiply(
    missing.map(shard => timesMatrix(rowOf(shard), toData)),
    used.map(([, bytes]) => bytes),
    rebuilt,
  );
  return rebuilt;
}
