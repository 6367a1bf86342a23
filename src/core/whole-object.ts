/** A stored object read back whole, and nothing but what its row says it is. */
import { webcrypto } from "node:crypto";
import type { BucketSet } from "./bucket-set.js";
import { BucketError, VaultError } from "./errors.js";
import type { ChunkRecord, ObjectRef } from "./model.js";

/** Throws FILE_UNAVAILABLE for an object that is missing or has another digest, and the bucket's error. */
export async function readWhole(
  buckets: Pick<BucketSet, "port">,
  row: ChunkRecord,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const stored = await buckets.port(row.bucketId).get(row.objectKey, undefined, signal);
  if (!stored) throw new VaultError("FILE_UNAVAILABLE", `object ${row.objectKey} is missing`);
  if (await hasDigest(stored, row.digest)) return stored;
  throw new VaultError("FILE_UNAVAILABLE", `object ${row.objectKey} is not what was stored`);
}

/** The object, or null where there is none. */
export async function readObject(
  { buckets }: { readonly buckets: Pick<BucketSet, "port"> },
  { bucketId, objectKey }: ObjectRef,
  signal: AbortSignal,
): Promise<Uint8Array | null | "unreadable"> {
  try {
    return await buckets.port(bucketId).get(objectKey, undefined, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof BucketError || error instanceof VaultError)) throw error;
    return "unreadable";
  }
}

/** In the thread pool: hashing 64 MiB here would keep every client waiting for 40 ms. */
export async function hasDigest(bytes: Uint8Array, digest: Uint8Array): Promise<boolean> {
  const actual = await webcrypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return Buffer.compare(Buffer.from(actual), digest) === 0;
}
