/** A stored object read back whole, and nothing but what its row says it is. */
import { digestOf } from "../format/core.js";
import type { BucketSet } from "./bucket-set.js";
import { VaultError } from "./errors.js";
import type { ChunkRecord } from "./model.js";

/** Throws FILE_UNAVAILABLE for an object that is missing or has another digest, and the bucket's error. */
export async function readWhole(
  buckets: Pick<BucketSet, "port">,
  row: ChunkRecord,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const stored = await buckets.port(row.bucketId).get(row.objectKey, undefined, signal);
  if (!stored) throw new VaultError("FILE_UNAVAILABLE", `object ${row.objectKey} is missing`);
  if (Buffer.compare(digestOf(stored), row.digest) === 0) return stored;
  throw new VaultError("FILE_UNAVAILABLE", `object ${row.objectKey} is not what was stored`);
}
