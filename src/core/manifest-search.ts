/** Finding a file's manifests in a bucket by nothing but its hash (docs/format.md §14). */
import { MANIFEST_SLOTS, manifestPrefix } from "../format/manifest-key.js";
import { MAX_MANIFEST_BYTES } from "../format/manifest.js";
import type { ObjectKey } from "./model.js";
import type { Bucket } from "./ports.js";

/** Manifests of one file that are looked at in one slot of a bucket: there are hardly ever more than two. */
const MAX_FOUND = 100;

/** The keys of objects that are named as the file's manifests are. */
export async function manifestKeysIn(
  bucket: Bucket,
  hash: string,
  signal?: AbortSignal,
): Promise<ObjectKey[]> {
  const found: ObjectKey[] = [];
  for (let slot = 0; slot < MANIFEST_SLOTS; slot++) {
    const keys = await bucket.list({ prefix: manifestPrefix(hash, slot) }, signal);
    found.push(...keys.slice(0, MAX_FOUND));
  }
  return found;
}

/** Never more than a manifest can have; null: there is none any more. */
export function readManifest(
  bucket: Bucket,
  objectKey: ObjectKey,
  signal?: AbortSignal,
): Promise<Uint8Array | null> {
  return bucket.get(objectKey, { first: 0, last: MAX_MANIFEST_BYTES - 1 }, signal);
}
